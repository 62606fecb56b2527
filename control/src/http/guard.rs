//! Who is at the door. `Guarded<Operator>` in a handler's arguments is the only way to get an actor, and the services want an actor: a
//! handler that forgot to ask cannot act.

use super::params::Site;
use super::problem::ApiError;
use crate::domain::permission::{Actor, Role};
use crate::service::random::TokenHash;
use crate::service::{Refusal, Services, agents, tokens, users};
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, web};
use restic_manager_shared::id::HostId;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

/// The session cookie over HTTPS; browsers then refuse to take it from anywhere but this very site.
pub const SECURE_COOKIE: &str = "__Host-rm_session";
/// The session cookie over plain HTTP.
pub const PLAIN_COOKIE: &str = "rm_session";

/// A role, as a type.
pub trait Needed: 'static {
    /// The role.
    const ROLE: Role;
}

/// Sees.
#[derive(Debug)]
pub struct Viewer;
/// Runs, schedules, adds hosts.
#[derive(Debug)]
pub struct Operator;
/// Everything.
#[derive(Debug)]
pub struct Admin;

impl Needed for Viewer {
    const ROLE: Role = Role::Viewer;
}
impl Needed for Operator {
    const ROLE: Role = Role::Operator;
}
impl Needed for Admin {
    const ROLE: Role = Role::Admin;
}

/// Somebody whose role covers `R`.
#[derive(Debug)]
pub struct Guarded<R> {
    /// Who.
    pub actor: Actor,
    /// What a form of this session must carry in its field `csrf`; empty for API tokens.
    pub csrf: String,
    role: PhantomData<R>,
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

fn services(req: &HttpRequest) -> Option<web::Data<Services>> {
    req.app_data::<web::Data<Services>>().cloned()
}

fn bearer(req: &HttpRequest) -> Option<String> {
    let value = req.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The session cookie that the browser sent.
#[must_use]
pub fn session_cookie(req: &HttpRequest) -> Option<String> {
    req.cookie(SECURE_COOKIE).or_else(|| req.cookie(PLAIN_COOKIE)).map(|c| c.value().to_owned())
}

/// What a form must carry, derived from the session's cookie: another site cannot know it.
#[must_use]
pub fn csrf_token(cookie: &str) -> String {
    TokenHash::of(&format!("csrf {cookie}")).as_str().to_owned()
}

/// Whether the browser says that the request comes from our own page. Old browsers that say nothing pass on the token alone.
fn same_site(req: &HttpRequest, site: &Site) -> bool {
    let text = |name: &str| req.headers().get(name).and_then(|v| v.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        (Some(from), _) => matches!(from, "same-origin" | "none"),
        (None, Some(origin)) => origin == site.base_url(req),
        (None, None) => true,
    }
}

fn same_text(a: &str, b: &str) -> bool {
    bool::from(subtle::ConstantTimeEq::ct_eq(a.as_bytes(), b.as_bytes()))
}

/// A cookie request that changes something over the API carries the token in a header; one from a form is checked by [`SafeForm`], or by
/// [`check_form`] if it holds files.
fn check_cookie_request(req: &HttpRequest, site: &Site, csrf: &str) -> Result<(), Refusal> {
    if req.method().is_safe() {
        return Ok(());
    }
    let form =
        req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|t| {
            t.starts_with("application/x-www-form-urlencoded") || t.starts_with("multipart/form-data")
        });
    let sent = req.headers().get("x-csrf-token").and_then(|v| v.to_str().ok());
    let is_page = !req.path().starts_with("/api/");
    let proven = sent.is_some_and(|t| same_text(t, csrf)) || (is_page && form);
    if same_site(req, site) && proven { Ok(()) } else { Err(Refusal::CrossSite) }
}

impl<R: Needed> FromRequest for Guarded<R> {
    type Error = ApiError;
    type Future = Answer<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let (Some(s), Some(site)) = (services(&req), req.app_data::<web::Data<Site>>()) else {
                return Err(crate::service::ActError::Internal("the guard has no services").into());
            };
            let address = site.address(&req);
            let (actor, csrf) = if let Some(token) = bearer(&req) {
                (tokens::by_bearer(&s, &token, address).await?.ok_or(Refusal::Unauthenticated)?, String::new())
            } else {
                let cookie = session_cookie(&req).ok_or(Refusal::Unauthenticated)?;
                let actor = users::by_cookie(&s, &cookie, address).await?.ok_or(Refusal::Unauthenticated)?;
                let csrf = csrf_token(&cookie);
                check_cookie_request(&req, site, &csrf)?;
                (actor, csrf)
            };
            if !actor.role.covers(R::ROLE) {
                return Err(Refusal::Forbidden.into());
            }
            Ok(Self { actor, csrf, role: PhantomData })
        })
    }
}

/// Whether a form that carries this token comes from our own page.
///
/// # Errors
/// `CrossSite` if not.
pub fn check_form(req: &HttpRequest, csrf: &str) -> Result<(), ApiError> {
    let ours = req.app_data::<web::Data<Site>>().is_some_and(|site| same_site(req, site));
    let proven = session_cookie(req).is_none_or(|cookie| same_text(csrf, &csrf_token(&cookie)));
    let early = matches!(req.path(), "/login" | "/setup");
    if ours && (proven || early) { Ok(()) } else { Err(Refusal::CrossSite.into()) }
}

/// A form from our own page: it carries the session's token in the field `csrf`, or there is no session yet (sign-in, setup) and the
/// browser says that it comes from here.
#[derive(Debug)]
pub struct SafeForm<T>(pub T);

#[derive(serde::Deserialize)]
struct Csrf {
    #[serde(default)]
    csrf: String,
}

impl<T: DeserializeOwned + 'static> FromRequest for SafeForm<T> {
    type Error = ApiError;
    type Future = Answer<Self>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let body = web::Bytes::from_request(&req, payload);
        Box::pin(async move {
            let malformed = || crate::service::ActError::field("", "the form could not be read");
            let body = body.await.map_err(|_| malformed())?;
            let sent: Csrf = serde_urlencoded::from_bytes(&body).unwrap_or(Csrf { csrf: String::new() });
            check_form(&req, &sent.csrf)?;
            serde_urlencoded::from_bytes(&body).map(Self).map_err(|_| malformed().into())
        })
    }
}

/// An agent that proved which host it is.
#[derive(Clone, Copy, Debug)]
pub struct AgentHost(pub HostId);

impl FromRequest for AgentHost {
    type Error = ApiError;
    type Future = Answer<Self>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (services, token) = (services(req), bearer(req));
        Box::pin(async move {
            let s = services.ok_or(crate::service::ActError::Internal("the guard has no services"))?;
            let token = token.ok_or(Refusal::Unauthenticated)?;
            Ok(Self(agents::authenticate(&s, &token).await?))
        })
    }
}
