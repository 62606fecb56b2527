//! Webhooks: one POST for each message, to an address that an administrator has given. Redirects are not followed: the address is what was
//! given, and no other.

use super::shape::{PAGERDUTY, request};
use super::{CONNECT, PATIENCE, Secrets, Taken, innermost, shown};
use crate::domain::channel::{Preset, Webhook};
use crate::domain::notice::Notice;
use crate::service::random::hex;
use crate::words::courier as words;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Error, Response, StatusCode};
use restic_manager_shared::time::Timestamp;
use ring::hmac;
use sha2::{Digest, Sha256};

/// How much of an answer is read.
const ANSWER: usize = 4096;

/// The client of all webhooks.
///
/// # Errors
/// When there is no TLS to be had.
pub(super) fn client() -> Result<Client, String> {
    // The second time it answers that it is done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .connect_timeout(CONNECT)
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("restic-manager/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| innermost(&error))
}

/// What proves that a message is ours and new: HMAC-SHA256 over the timestamp, a dot and the body, with the channel's secret.
fn signature(secret: &str, at: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, format!("{at}.{body}").as_bytes()).as_ref())
}

fn headers(
    hook: &Webhook,
    secrets: &Secrets,
    notice: &Notice,
    own: &[(&'static str, String)],
    body: &str,
    now: Timestamp,
) -> Result<HeaderMap, String> {
    let mut all: Vec<(&'static str, String)> = own.to_vec();
    all.push(("idempotency-key", notice.message.clone()));
    if let (Preset::Generic, Some(secret)) = (hook.preset, &secrets.secret) {
        all.push(("x-restic-manager-timestamp", now.seconds().to_string()));
        let signature = signature(secret.reveal(), now.seconds(), body);
        all.push(("x-restic-manager-signature", format!("sha256={signature}")));
    }
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in all {
        let mut value = HeaderValue::from_str(&value).map_err(|_| words::ODD_TOKEN.to_owned())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// Sends a message.
///
/// # Errors
/// In plain words, what is in the way, or what the other side said.
pub(super) async fn send(
    client: &Client,
    hook: &Webhook,
    secrets: &Secrets,
    notice: &Notice,
    now: Timestamp,
) -> Result<Taken, String> {
    let url = match (&secrets.url, hook.preset) {
        (Some(url), _) => url.reveal(),
        (None, Preset::PagerDuty) => PAGERDUTY,
        (None, _) => return Err(words::NO_URL.into()),
    };
    let request = request(notice, hook.preset, url, secrets.secret.as_ref().map(|s| s.reveal()));
    let headers = headers(hook, secrets, notice, &request.headers, &request.body, now)?;
    let digest = hex(&Sha256::digest(request.body.as_bytes()));
    let answer = client.post(request.url).headers(headers).body(request.body).send().await;
    let answer = answer.map_err(|error| trouble(hook, &error))?;
    let status = answer.status();
    let said = said(answer).await;
    judge(hook, status, &said).map(|()| Taken { said: shown(&format!("{} {said}", status.as_u16())), digest })
}

fn judge(hook: &Webhook, status: StatusCode, said: &str) -> Result<(), String> {
    if status.is_success() {
        return Ok(());
    }
    if status.is_redirection() {
        return Err(words::points_elsewhere(&hook.origin, status.as_u16()));
    }
    Err(words::answered(&hook.origin, status.as_u16(), said))
}

/// The beginning of an answer. One that breaks off says what it said so far.
async fn said(mut answer: Response) -> String {
    let mut bytes = vec![];
    while let Ok(Some(chunk)) = answer.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER {
            bytes.truncate(ANSWER);
            break;
        }
    }
    shown(&String::from_utf8_lossy(&bytes))
}

/// What went wrong, for people. The address is not told: with many services it is the secret.
fn trouble(hook: &Webhook, error: &Error) -> String {
    if error.is_timeout() {
        return words::slow(&hook.origin);
    }
    words::unreached(&hook.origin, error.is_connect(), &innermost(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_over_time_and_body() {
        // openssl dgst -sha256 -hmac key, over "1800000000.{}".
        let known = "73214758";
        let made = signature("key", 1_800_000_000, "{}");
        assert_eq!(made.len(), 64);
        assert_ne!(made, signature("key", 1_800_000_001, "{}"));
        assert_ne!(made, signature("other", 1_800_000_000, "{}"));
        assert_ne!(made, signature("key", 1_800_000_000, "{ }"));
        assert_eq!(&made[..8], known);
    }

    #[test]
    fn answers_are_judged_by_their_status() {
        let hook = Webhook { preset: Preset::Generic, origin: "https://x".into() };
        let judge = |code, said| judge(&hook, StatusCode::from_u16(code).expect("valid"), said).err();
        assert_eq!(judge(204, ""), None);
        assert_eq!(judge(403, "topic needs a token").as_deref(), Some("https://x answered 403: topic needs a token"));
        assert!(judge(302, "").expect("refused").contains("not followed"));
    }
}
