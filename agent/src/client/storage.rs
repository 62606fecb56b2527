//! The few requests that go to a storage directly, beside restic: is it there, what may this credential do, and the removal of one lock.
//! Knows the protocol of a rest-server.

use super::{ClientError, setup};
use reqwest::Method;
use restic_manager_shared::restic::address::Location;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::state::RepositorySecrets;
use std::path::Path;
use std::time::Duration;
use url::Url;

const PATIENCE: Duration = Duration::from_secs(5);

/// A repository on a rest-server.
#[derive(Debug)]
pub struct Storage {
    http: reqwest::Client,
    base: Url,
    user: Option<(String, Secret)>,
}

impl Storage {
    /// The rest-server that the address names; none if it names another backend.
    ///
    /// # Errors
    /// [`ClientError::Setup`] if the proxy or the certificates make no sense.
    pub fn rest(
        address: &str,
        secrets: &RepositorySecrets,
        proxy: Option<&str>,
        ca: Option<&Path>,
    ) -> Result<Option<Self>, ClientError> {
        let Location::Rest(mut base) = Location::parse(address) else { return Ok(None) };
        // The credentials go into a header, never into an error message.
        let _ = (base.set_username(""), base.set_password(None));
        let http = setup::storage_client(proxy.filter(|_| !is_loopback(&base)), ca)?;
        let user = secrets.rest_username.clone().zip(secrets.rest_password.clone());
        Ok(Some(Self { http, base, user }))
    }

    /// Whether a repository is there, as an HTTP status.
    ///
    /// # Errors
    /// [`ClientError`] if there was no answer.
    pub async fn head_config(&self) -> Result<u16, ClientError> {
        self.send(Method::HEAD, "config").await
    }

    /// Asks for the removal of a file, such as `locks` and its id. The status is the storage's word on it.
    ///
    /// # Errors
    /// [`ClientError`] if there was no answer.
    pub async fn delete(&self, folder: &str, name: &str) -> Result<u16, ClientError> {
        self.send(Method::DELETE, &format!("{folder}/{name}")).await
    }

    async fn send(&self, method: Method, path: &str) -> Result<u16, ClientError> {
        let url = self.base.join(path).map_err(|e| ClientError::Setup(e.to_string()))?;
        let mut request = self.http.request(method, url).timeout(PATIENCE);
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password.reveal()));
        }
        let response = request.send().await.map_err(|e| ClientError::from_reqwest(&e))?;
        Ok(response.status().as_u16())
    }
}

/// As Go's own rule, which restic follows: nothing on this machine goes through a proxy.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
