//! One question before restic starts: does the storage answer, is there a repository, are the credentials good. A rest-server is asked by
//! HTTP, because restic would retry in silence for a quarter of an hour; an sftp server by ssh, because restic may lose what ssh says.
//! Other backends are left to restic and a watchdog.

use super::env::{Surroundings, Variables};
use super::judge::by_words;
use super::ssh;
use crate::client::ClientError;
use crate::client::storage::Storage;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::state::RepositorySecrets;

/// What the storage answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A repository is there and lets us in.
    Ready,
    /// The storage is there, a repository is not.
    Missing,
    /// It cannot work; restic need not try.
    Hopeless(CauseCode, String),
    /// The backend cannot be asked, or gave an answer that says nothing: restic finds out.
    Unknown,
}

/// Asks. `vars` is what restic will be given.
pub async fn ask(url: &str, secrets: &RepositorySecrets, around: &Surroundings, vars: &Variables) -> Answer {
    if let Some(words) = ssh::refuses(url, vars).await {
        let last = words.lines().next_back().unwrap_or_default().to_owned();
        return Answer::Hopeless(by_words(&words).unwrap_or(CauseCode::RepositoryUnreachable), last);
    }
    let storage = match Storage::rest(url, secrets, around.proxy.as_deref(), around.ca.as_deref()) {
        Ok(Some(storage)) => storage,
        Ok(None) => return Answer::Unknown,
        Err(e) => return Answer::Hopeless(CauseCode::StorageTls, e.to_string()),
    };
    match storage.head_config().await {
        Ok(status) => by_status(status),
        Err(e) => by_error(&e),
    }
}

fn by_status(status: u16) -> Answer {
    match status {
        200..=299 => Answer::Ready,
        404 => Answer::Missing,
        401 => Answer::Hopeless(
            CauseCode::StorageUnauthorized,
            "the storage refuses the HTTP user or password (401)".into(),
        ),
        403 => {
            Answer::Hopeless(CauseCode::StorageForbidden, "the storage forbids access to the repository (403)".into())
        }
        407 => {
            Answer::Hopeless(CauseCode::RepositoryUnreachable, "the proxy asks for a user and password (407)".into())
        }
        502..=504 => Answer::Hopeless(
            CauseCode::RepositoryUnreachable,
            format!("a proxy in front of the storage answers {status}"),
        ),
        _ => Answer::Unknown,
    }
}

fn by_error(error: &ClientError) -> Answer {
    match error {
        ClientError::Tls(why) => {
            Answer::Hopeless(CauseCode::StorageTls, format!("the storage cannot be trusted: {why}"))
        }
        ClientError::Unreachable(why) => {
            Answer::Hopeless(CauseCode::RepositoryUnreachable, format!("the storage does not answer: {why}"))
        }
        ClientError::Timeout => {
            Answer::Hopeless(CauseCode::RepositoryUnreachable, "the storage does not answer within 5 seconds".into())
        }
        ClientError::Cut(why) => {
            Answer::Hopeless(CauseCode::RepositoryUnreachable, format!("the storage cut the connection: {why}"))
        }
        ClientError::Problem(_) | ClientError::BadAnswer(_) | ClientError::Setup(_) | ClientError::Key => {
            Answer::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// Answers one request with this status line, or closes without a word.
    fn server(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("accepts");
            let _ = peer.read(&mut [0; 2048]);
            let _ = peer.write_all(answer.as_bytes());
        });
        format!("rest:http://{address}/r")
    }

    async fn asked(url: &str) -> Option<CauseCode> {
        let around = Surroundings { proxy: Some("http://127.0.0.1:1".into()), ..Surroundings::default() };
        match ask(url, &RepositorySecrets::default(), &around, &Variables::new()).await {
            Answer::Hopeless(code, _) => Some(code),
            Answer::Ready | Answer::Missing | Answer::Unknown => None,
        }
    }

    #[tokio::test]
    async fn answers_become_causes_in_seconds() {
        let around = Surroundings::default();
        let secrets = RepositorySecrets::default();
        assert_eq!(ask(&server("HTTP/1.1 200 OK\r\n\r\n"), &secrets, &around, &Variables::new()).await, Answer::Ready);
        assert_eq!(
            ask(&server("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"), &secrets, &around, &Variables::new()).await,
            Answer::Missing
        );
        assert_eq!(asked(&server("HTTP/1.1 401 No\r\n\r\n")).await, Some(CauseCode::StorageUnauthorized));
        assert_eq!(asked(&server("HTTP/1.1 403 No\r\n\r\n")).await, Some(CauseCode::StorageForbidden));
        assert_eq!(asked(&server("")).await, Some(CauseCode::RepositoryUnreachable));
        assert_eq!(asked("rest:http://127.0.0.1:1/r").await, Some(CauseCode::RepositoryUnreachable));
        assert_eq!(asked(&server("junk").replace("http:", "https:")).await, Some(CauseCode::StorageTls));
        assert_eq!(asked("/srv/repo").await, None);
    }
}
