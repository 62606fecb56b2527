//! What can go wrong with a request, told apart by what is to be done about it.

use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::Problem;
use std::error::Error;
use std::time::Duration;

/// A request did not bring what was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server answered, and said no.
    #[error("{0}")]
    Problem(Box<Refusal>),
    /// Nobody answers at the address.
    #[error("cannot reach the server: {0}")]
    Unreachable(String),
    /// The other side cannot be trusted.
    #[error("the connection is not secure: {0}")]
    Tls(String),
    /// No answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The connection ended in the middle.
    #[error("the connection was cut: {0}")]
    Cut(String),
    /// The answer makes no sense.
    #[error("the server's answer cannot be understood: {0}")]
    BadAnswer(String),
    /// The settings make no sense.
    #[error("{0}")]
    Setup(String),
    /// This host's own key does not sign.
    #[error("this host's signing key is damaged; enrol the host again")]
    Key,
}

/// The server's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the problem; empty if the answer came from something else than the control plane.
    pub code: String,
    /// A few words.
    pub title: String,
    /// What to do.
    pub detail: Option<String>,
    /// The rejected fields, each with what is wrong.
    pub fields: Vec<String>,
    /// The server's clock.
    pub server_time: Option<Timestamp>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.title)?;
        if let Some(detail) = &self.detail {
            write!(f, ": {detail}")?;
        }
        for field in &self.fields {
            write!(f, "; {field}")?;
        }
        if self.code.is_empty() { Ok(()) } else { write!(f, " ({}, HTTP {})", self.code, self.status) }
    }
}

impl Refusal {
    /// Reads an answer's body, which may come from a proxy and be no problem document at all.
    #[must_use]
    pub fn read(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(p) => Self {
                status,
                code: p.code,
                title: p.title,
                detail: p.detail,
                fields: p.errors.into_iter().map(|e| format!("{}: {}", e.pointer, e.detail)).collect(),
                server_time: p.server_time,
                retry_after,
            },
            Err(_) => Self {
                status,
                code: String::new(),
                title: format!("something at the server's address answers HTTP {status}"),
                detail: None,
                fields: Vec::new(),
                server_time: None,
                retry_after,
            },
        }
    }
}

impl ClientError {
    /// Whether the server says that the job, or this attempt at it, is no longer ours: then there is nothing to send any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        // Without a code the 404 is a proxy's or a wrong address, and says nothing about the job.
        matches!(self, Self::Problem(r) if !r.code.is_empty() && matches!(r.status, 404 | 409 | 410))
    }

    /// Whether the server will never take this body, however often it is sent.
    #[must_use]
    pub fn is_unacceptable(&self) -> bool {
        matches!(self, Self::Problem(r) if !r.code.is_empty() && matches!(r.status, 400 | 413 | 415 | 422))
    }

    /// The stable code, if the control plane gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Problem(r) if !r.code.is_empty() => Some(&r.code),
            Self::Problem(_)
            | Self::Unreachable(_)
            | Self::Tls(_)
            | Self::Timeout
            | Self::Cut(_)
            | Self::BadAnswer(_)
            | Self::Setup(_)
            | Self::Key => None,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Problem(r) = self { r.retry_after } else { None }
    }

    /// Sorts the HTTP library's errors.
    #[must_use]
    pub fn from_reqwest(error: &reqwest::Error) -> Self {
        let words = innermost(error);
        if let Some(tls) = find_tls(error) {
            return Self::Tls(tls_words(tls));
        }
        if error.is_timeout() && !error.is_connect() {
            Self::Timeout
        } else if error.is_builder() {
            Self::Setup(words)
        } else if error.is_connect() {
            Self::Unreachable(words)
        } else if error.is_decode() {
            Self::BadAnswer(words)
        } else {
            Self::Cut(words)
        }
    }
}

/// The words of the innermost cause: the outer ones only repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut inner: &dyn Error = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// One I/O error may wrap another, and `source()` passes over the wrapped one.
fn find_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(tls) = error.downcast_ref() {
        return Some(tls);
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.and_then(|w| find_tls(w)).or_else(|| error.source().and_then(find_tls))
}

fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as C;
    match error {
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => {
            "its certificate is from an unknown authority (if TLS is inspected on the way, name that authority with --ca-file)".into()
        }
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => {
            "its certificate has expired (or this host's clock is wrong)".into()
        }
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => {
            "its certificate is for another name".into()
        }
        other => other.to_string(),
    }
}
