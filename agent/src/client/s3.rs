//! What an S3 key may do: one signed look at the repository, and one signed request to delete an object that cannot exist. restic itself does
//! everything else there.

use super::{ClientError, setup};
use reqwest::Method;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::state::RepositorySecrets;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::path::Path;
use std::time::Duration;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(10);
/// A signature is good for so long.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// A repository in a bucket.
#[derive(Debug)]
pub struct S3 {
    http: reqwest::Client,
    bucket: Bucket,
    key: Credentials,
    prefix: String,
}

impl S3 {
    /// The repository that restic's address names, such as `s3:https://s3.example.org/bucket/path` or `s3:s3.amazonaws.com/bucket`. None
    /// if it is another backend's, or the credential has no key of its own.
    ///
    /// # Errors
    /// [`ClientError::Setup`] if the address, the proxy or the certificates make no sense.
    pub fn open(
        address: &str,
        secrets: &RepositorySecrets,
        proxy: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Option<Self>, ClientError> {
        let Some(place) = Place::parse(address) else { return Ok(None) };
        let value = |name: &str| secrets.env.get(name).map(Secret::reveal);
        let (Some(id), Some(secret)) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) else {
            return Ok(None);
        };
        let key = match value("AWS_SESSION_TOKEN") {
            Some(token) => Credentials::new_with_token(id, secret, token),
            None => Credentials::new(id, secret),
        };
        let region = value("AWS_DEFAULT_REGION").unwrap_or("us-east-1").to_owned();
        let bucket = Bucket::new(place.endpoint, UrlStyle::Path, place.bucket, region);
        let bucket = bucket.map_err(|e| ClientError::Setup(e.to_string()))?;
        Ok(Some(Self { http: setup::storage_client(proxy, ca)?, bucket, key, prefix: place.prefix }))
    }

    fn name(&self, file: &str) -> String {
        if self.prefix.is_empty() { file.to_owned() } else { format!("{}/{file}", self.prefix) }
    }

    /// Whether the repository's `config` is there and may be read, as an HTTP status.
    ///
    /// # Errors
    /// [`ClientError`] if there was no answer.
    pub async fn head_config(&self) -> Result<u16, ClientError> {
        let name = self.name("config");
        let url = self.bucket.head_object(Some(&self.key), &name).sign(SIGNED_FOR);
        self.send(Method::HEAD, url).await
    }

    /// Asks for the deletion of an object in the folder of data. The status is the storage's word on it.
    ///
    /// # Errors
    /// [`ClientError`] if there was no answer.
    pub async fn delete_data(&self, id: &str) -> Result<u16, ClientError> {
        let name = self.name(&format!("data/{}/{id}", id.get(..2).unwrap_or_default()));
        let url = self.bucket.delete_object(Some(&self.key), &name).sign(SIGNED_FOR);
        self.send(Method::DELETE, url).await
    }

    async fn send(&self, method: Method, url: Url) -> Result<u16, ClientError> {
        let answer = self.http.request(method, url).timeout(PATIENCE).send().await;
        // The signature stands in the address, so the error must not show it.
        answer.map(|a| a.status().as_u16()).map_err(|e| ClientError::from_reqwest(&e.without_url()))
    }
}

/// Where a repository lies.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    endpoint: Url,
    bucket: String,
    prefix: String,
}

impl Place {
    fn parse(address: &str) -> Option<Self> {
        let rest = address.strip_prefix("s3:")?.trim_start_matches("//");
        let whole = if rest.contains("://") { rest.to_owned() } else { format!("https://{rest}") };
        let url = Url::parse(&whole).ok()?;
        let path = url.path().trim_matches('/').to_owned();
        let (bucket, prefix) = path.split_once('/').unwrap_or((&path, ""));
        let mut endpoint = url.clone();
        endpoint.set_path("");
        (!bucket.is_empty() && url.has_host()).then(|| Self {
            endpoint,
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    #[test]
    fn restic_s_addresses_are_read() {
        let place = |address: &str| Place::parse(address).map(|p| (p.endpoint.to_string(), p.bucket, p.prefix));
        let want = |e: &str, b: &str, p: &str| Some((e.to_owned(), b.to_owned(), p.to_owned()));
        for (address, expected) in [
            ("s3:https://s3.example.org/bucket/a/b/", want("https://s3.example.org/", "bucket", "a/b")),
            ("s3:http://127.0.0.1:9000/bucket", want("http://127.0.0.1:9000/", "bucket", "")),
            ("s3:s3.amazonaws.com/bucket/x", want("https://s3.amazonaws.com/", "bucket", "x")),
            ("s3://s3.amazonaws.com/bucket", want("https://s3.amazonaws.com/", "bucket", "")),
            ("s3:s3.amazonaws.com", None),
            ("rest:http://x/", None),
        ] {
            assert_eq!(place(address), expected, "{address}");
        }
    }

    #[tokio::test]
    async fn a_deletion_is_signed_and_names_what_cannot_exist() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("address");
        let asked = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("accepts");
            let mut buffer = [0; 4096];
            let n = peer.read(&mut buffer).expect("reads");
            peer.write_all(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n").expect("answers");
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        });
        let env = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let env = env.into_iter().map(|(k, v)| (k.to_owned(), Secret::new(v))).collect();
        let secrets = RepositorySecrets { env, ..RepositorySecrets::default() };
        let s3 = S3::open(&format!("s3:http://{address}/bucket/web-01"), &secrets, None, None);
        let s3 = s3.expect("opens").expect("is S3");
        assert_eq!(s3.delete_data(&"0".repeat(64)).await.expect("an answer"), 403);
        let asked = asked.join().expect("ends");
        let path = format!("DELETE /bucket/web-01/data/00/{}?", "0".repeat(64));
        assert!(asked.starts_with(&path) && asked.contains("X-Amz-Signature="), "{asked}");
        assert!(!asked.contains("secret"), "{asked}");
    }
}
