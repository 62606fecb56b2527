//! Mail: plain text through one server, with a Message-Id that is the same for each try of one message.

use super::{CONNECT, Secrets, Taken, innermost, shown};
use crate::domain::channel::{Security, Smtp};
use crate::domain::notice::Notice;
use crate::service::random::hex;
use crate::words::courier as words;
use crate::words::notice::{text, title};
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use sha2::{Digest, Sha256};

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Sends a message to all of a channel's addresses.
///
/// # Errors
/// In plain words, what is in the way.
pub(super) async fn send(smtp: &Smtp, secrets: &Secrets, notice: &Notice) -> Result<Taken, String> {
    let mail = mail(smtp, notice)?;
    let digest = hex(&Sha256::digest(text(notice).as_bytes()));
    let answer = transport(smtp, secrets)?.send(mail).await.map_err(|error| trouble(smtp, &error))?;
    Ok(Taken { said: shown(&format!("{} {}", answer.code(), answer.message().collect::<Vec<_>>().join(" "))), digest })
}

fn transport(smtp: &Smtp, secrets: &Secrets) -> Result<Transport, String> {
    let parameters = || TlsParameters::builder(smtp.host.clone()).build_rustls();
    let no_tls = |error: Error| words::no_tls(&innermost(&error));
    let tls = match smtp.security {
        Security::Plain => Tls::None,
        Security::StartTls => Tls::Required(parameters().map_err(no_tls)?),
        Security::Tls => Tls::Wrapper(parameters().map_err(no_tls)?),
    };
    let mut builder = Transport::builder_dangerous(&smtp.host).port(smtp.port).tls(tls).timeout(Some(CONNECT));
    if let (Some(name), Some(password)) = (&smtp.username, &secrets.secret) {
        builder = builder.credentials(Credentials::new(name.clone(), password.reveal().to_owned()));
    }
    Ok(builder.build())
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|_| words::no_address(text))
}

fn mail(smtp: &Smtp, notice: &Notice) -> Result<Message, String> {
    let from = address(&smtp.from)?;
    let domain = from.domain().to_owned();
    let mut builder: MessageBuilder = Message::builder()
        .from(Mailbox::new(Some("restic-manager".into()), from))
        .subject(title(notice))
        .message_id(Some(format!("<{}@{domain}>", notice.message)))
        .header(ContentType::TEXT_PLAIN)
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".into()));
    for to in &smtp.to {
        builder = builder.to(Mailbox::new(None, address(to)?));
    }
    builder.body(text(notice) + "\n").map_err(|error| words::no_mail(&error))
}

/// What went wrong, for people.
fn trouble(smtp: &Smtp, error: &Error) -> String {
    let server = format!("{}:{}", smtp.host, smtp.port);
    if let Some(code) = error.status() {
        return words::server_refused(&server, &code, &innermost(error));
    }
    if error.is_timeout() {
        return words::server_slow(&server);
    }
    if error.is_tls() {
        return words::server_tls(&server, &innermost(error));
    }
    words::server_failed(&server, &innermost(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_plain_text_to_all_with_the_message_s_own_id() {
        let smtp = Smtp {
            host: "localhost".into(),
            port: 25,
            security: Security::Plain,
            username: None,
            from: "backup@example.org".into(),
            to: vec!["ops@example.org".into(), "anna@example.org".into()],
        };
        let notice = Notice { message: "m-1".into(), items: vec![], more: 0, summary: None, link: None };
        let mail = String::from_utf8(mail(&smtp, &notice).expect("a mail").formatted()).expect("text");
        for line in [
            "From: restic-manager <backup@example.org>",
            "To: ops@example.org, anna@example.org",
            "Message-ID: <m-1@example.org>",
            "Subject: [restic-manager] Test message",
            "Content-Type: text/plain; charset=utf-8",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(mail.contains(line), "{line} is not in\n{mail}");
        }
        assert!(super::mail(&Smtp { from: "nobody".into(), ..smtp }, &notice).is_err());
    }
}
