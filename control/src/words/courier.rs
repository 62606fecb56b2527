//! Why a message did not arrive, as the page of a channel tells it. What the other side said stands in it as it came.

use std::fmt::Display;

/// A webhook's secret cannot be sent.
pub const ODD_TOKEN: &str = "The token of this channel holds characters that no request can carry.";
/// A webhook without an address.
pub const NO_URL: &str = "The channel has no address.";

/// The courier could not set out.
#[must_use]
pub fn not_sent(why: &impl Display) -> String {
    format!("It could not be sent: {why}.")
}

/// All took too long.
#[must_use]
pub fn no_answer(seconds: u64) -> String {
    format!("No answer within {seconds} seconds.")
}

/// This side cannot encrypt.
#[must_use]
pub fn no_tls(why: &str) -> String {
    format!("TLS cannot be set up: {why}.")
}

/// A sender or a receiver that is none.
#[must_use]
pub fn no_address(text: &str) -> String {
    format!("{text} is not an address that mail can be sent to.")
}

/// A mail that is none.
#[must_use]
pub fn no_mail(why: &impl Display) -> String {
    format!("The mail cannot be put together: {why}.")
}

/// A mail server took the connection, and not the mail.
#[must_use]
pub fn server_refused(server: &str, code: &impl Display, why: &str) -> String {
    format!("The mail server {server} refused it: {code} {why}")
}

/// A mail server is silent.
#[must_use]
pub fn server_slow(server: &str) -> String {
    format!("The mail server {server} did not answer in time.")
}

/// A mail server cannot encrypt, or not as it must.
#[must_use]
pub fn server_tls(server: &str, why: &str) -> String {
    format!("No TLS with the mail server {server}: {why}.")
}

/// Anything else about a mail server.
#[must_use]
pub fn server_failed(server: &str, why: &str) -> String {
    format!("The mail server {server} could not be used: {why}.")
}

/// A webhook leads somewhere else.
#[must_use]
pub fn points_elsewhere(origin: &str, code: u16) -> String {
    format!("{origin} answered {code} and points elsewhere, which is not followed.")
}

/// A webhook answered, and did not take it.
#[must_use]
pub fn answered(origin: &str, code: u16, said: &str) -> String {
    if said.is_empty() { format!("{origin} answered {code}") } else { format!("{origin} answered {code}: {said}") }
}

/// A webhook is silent.
#[must_use]
pub fn slow(origin: &str) -> String {
    format!("{origin} did not answer in time.")
}

/// A webhook is not there, or broke off. The address is not told: with many services it is the secret.
#[must_use]
pub fn unreached(origin: &str, connecting: bool, why: &str) -> String {
    if connecting {
        format!("{origin} could not be reached: {why}.")
    } else {
        format!("{origin} did not take the request: {why}.")
    }
}
