//! How HTTP clients are made: one TLS provider, the proxy, more certificate authorities.

use super::ClientError;
use reqwest::{Certificate, ClientBuilder, Proxy};
use std::path::Path;
use std::time::Duration;

const CONNECT: Duration = Duration::from_secs(10);

fn builder(proxy: Option<&str>, ca: Option<&Path>) -> Result<ClientBuilder, ClientError> {
    // The second time it answers that it is done already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(Duration::from_secs(50))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(format!("restic-manager-agent/{}", crate::facts::version()));
    if let Some(proxy) = proxy {
        builder = builder
            .proxy(Proxy::all(proxy).map_err(|_| ClientError::Setup("the proxy's address is not a URL".into()))?);
    }
    if let Some(ca) = ca {
        builder = builder.tls_certs_merge(certificates(ca)?);
    }
    Ok(builder)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, ClientError> {
    let pem = std::fs::read(path).map_err(|e| ClientError::Setup(format!("cannot read {}: {e}", path.display())))?;
    let certs = Certificate::from_pem_bundle(&pem)
        .map_err(|_| ClientError::Setup(format!("{} holds no certificate in PEM form", path.display())))?;
    if certs.is_empty() {
        return Err(ClientError::Setup(format!("{} holds no certificate in PEM form", path.display())));
    }
    Ok(certs)
}

/// For the control plane.
///
/// # Errors
/// [`ClientError::Setup`] if the proxy or the certificates make no sense.
pub fn control_client(proxy: Option<&str>, ca: Option<&Path>) -> Result<reqwest::Client, ClientError> {
    builder(proxy, ca)?.gzip(true).build().map_err(|e| ClientError::Setup(e.to_string()))
}

/// For a storage, with less patience.
///
/// # Errors
/// [`ClientError::Setup`] if the proxy or the certificates make no sense.
pub fn storage_client(proxy: Option<&str>, ca: Option<&Path>) -> Result<reqwest::Client, ClientError> {
    let builder = builder(proxy, ca)?.connect_timeout(Duration::from_secs(5)).pool_max_idle_per_host(0);
    builder.build().map_err(|e| ClientError::Setup(e.to_string()))
}
