//! What requests carry besides their bodies: paging, keys, and where they come from.

use super::problem::ApiError;
use crate::service::{ActError, MAX_PAGE};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::pin::Pin;

/// Where this site is, and whom it believes about where a request comes from.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// How people and agents reach it, such as `https://backup.example.org`; derived from the request if not set.
    pub public_url: Option<String>,
    /// Proxies whose `X-Forwarded-*` headers count.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whether this process speaks TLS itself.
    pub tls: bool,
}

impl Site {
    fn forwarded<'a>(&self, req: &'a HttpRequest, name: &str) -> Option<&'a str> {
        let peer = req.peer_addr()?.ip();
        if !self.trusted_proxies.contains(&peer) {
            return None;
        }
        req.headers().get(name)?.to_str().ok()
    }

    /// The address that a request comes from.
    #[must_use]
    pub fn address(&self, req: &HttpRequest) -> String {
        // The last entry is the one that our own proxy added.
        let told =
            self.forwarded(req, "x-forwarded-for").and_then(|v| v.rsplit(',').next()).map(|v| v.trim().to_owned());
        told.or_else(|| req.peer_addr().map(|a| a.ip().to_string())).unwrap_or_default()
    }

    /// Whether the browser speaks HTTPS to us or to our proxy.
    #[must_use]
    pub fn is_https(&self, req: &HttpRequest) -> bool {
        self.tls || self.forwarded(req, "x-forwarded-proto").is_some_and(|p| p.eq_ignore_ascii_case("https"))
    }

    /// How this site is reached, without a slash at the end.
    #[must_use]
    pub fn base_url(&self, req: &HttpRequest) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        let host = req.headers().get(header::HOST).and_then(|v| v.to_str().ok()).filter(|h| h.chars().all(plain));
        let scheme = if self.is_https(req) { "https" } else { "http" };
        format!("{scheme}://{}", host.unwrap_or("localhost"))
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl Paging {
    /// The number of entries, 50 if not said.
    ///
    /// # Errors
    /// When it is not 1 to 200.
    pub fn limit(&self) -> Result<i64, ApiError> {
        let limit = i64::from(self.limit.unwrap_or(50));
        if (1..=MAX_PAGE).contains(&limit) { Ok(limit) } else { Err(ActError::field("/limit", "1 to 200").into()) }
    }
}

/// The header `Idempotency-Key`: the same request sent twice with it is done once.
#[derive(Clone, Debug)]
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sent = req.headers().get("idempotency-key");
        ready(match sent.map(|v| v.to_str()) {
            None => Ok(Self(None)),
            Some(Ok(key)) => Ok(Self(Some(key.to_owned()))),
            Some(Err(_)) => Err(ActError::field("/Idempotency-Key", "only visible ASCII characters").into()),
        })
    }
}

/// A JSON body that is read after the guard has let its sender in: strangers learn nothing about what an operation takes.
#[derive(Debug)]
pub struct Input<T> {
    body: web::Bytes,
    json: bool,
    shape: PhantomData<T>,
}

impl<T: DeserializeOwned> Input<T> {
    /// The body.
    ///
    /// # Errors
    /// 415 if it is not JSON by its content type, 400 if it is not what `T` takes.
    pub fn read(self) -> Result<T, ApiError> {
        if !self.json {
            return Err(ApiError::MediaType);
        }
        // serde would take an array for an object, its fields in order: nobody means that.
        if self.body.trim_ascii_start().first() != Some(&b'{') {
            return Err(ApiError::Malformed("the body must be a JSON object".into()));
        }
        serde_json::from_slice(&self.body).map_err(|e| ApiError::Malformed(e.to_string()))
    }

    /// The body, or nothing of it if there is none.
    ///
    /// # Errors
    /// As [`Input::read`].
    pub fn read_or_default(self) -> Result<T, ApiError>
    where
        T: Default,
    {
        let nothing = matches!(self.body.trim_ascii(), b"" | b"null");
        if nothing { Ok(T::default()) } else { self.read() }
    }
}

impl<T: 'static> FromRequest for Input<T> {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, actix_web::Error>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let media = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let json = media.split(';').next().is_some_and(|m| m.trim().eq_ignore_ascii_case("application/json"));
        let body = web::Bytes::from_request(req, payload);
        Box::pin(async move {
            let body = body.await.map_err(|e| super::layers::body_error(&e))?;
            Ok(Self { body, json, shape: PhantomData })
        })
    }
}
