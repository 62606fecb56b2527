//! The way in and out of a page: [`View`] renders inside the shell, and [`errors`] turns every refusal on its way out, whoever said it,
//! into a page, or sends the person to sign in first.

use super::engine::{Page, Pages};
use super::view::{Link, Shell, TroubleWords, User};
use crate::http::guard::{Guarded, Needed, Viewer};
use crate::http::params::Site;
use crate::http::problem::{ApiError, problem};
use crate::service::queries::Patience;
use crate::service::{ActError, Services, navigation, users};
use crate::words::{Moment, done::done, refusal, run_now};
use actix_web::body::{self, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, web};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::Problem;
use serde::{Deserialize, Serialize};
use std::future::{Ready, ready};

/// The cookie with the chosen theme.
pub const THEME_COOKIE: &str = "rm_theme";
/// The cookie that says that single keys do nothing.
pub const KEYS_COOKIE: &str = "rm_keys";

/// What a request needs to be answered with a page.
#[derive(Clone)]
pub struct View {
    pages: web::Data<Pages>,
    services: web::Data<Services>,
    req: HttpRequest,
}

impl FromRequest for View {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::of(req).ok_or_else(|| ActError::Internal("the pages are not set up").into()))
    }
}

impl View {
    fn of(req: &HttpRequest) -> Option<Self> {
        let pages = req.app_data::<web::Data<Pages>>()?.clone();
        let services = req.app_data::<web::Data<Services>>()?.clone();
        Some(Self { pages, services, req: req.clone() })
    }

    /// The shell for somebody who is not signed in.
    #[must_use]
    pub fn stranger(&self) -> Shell {
        let theme = self.req.cookie(THEME_COOKIE).map(|c| c.value().to_owned());
        Shell {
            theme: theme.filter(|t| t == "light" || t == "dark").unwrap_or_default(),
            keys_off: self.req.cookie(KEYS_COOKIE).is_some_and(|c| c.value() == "off"),
            version: env!("CARGO_PKG_VERSION"),
            zone: super::zone::viewer().name(),
            path: self.req.path().to_owned(),
            tag: tag(self.req.path(), self.req.query_string()),
            said: said(self.req.query_string()),
            refused: run_now::refused(told(self.req.query_string(), "refused=")),
            ..Shell::default()
        }
    }

    /// The shell for somebody who is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shell<R: Needed>(&self, who: &Guarded<R>) -> Result<Shell, ApiError> {
        let counts = navigation::counts(&self.services).await?;
        let user = User::new(&who.actor);
        let trouble = self.services.trouble().map(|t| TroubleWords {
            since: Moment::new(t.since, Timestamp::now()),
            why: Some(t.why).filter(|_| user.admin),
        });
        Ok(Shell { user: Some(user), csrf: who.csrf.clone(), counts, trouble, ..self.stranger() })
    }

    /// How long this answer may take: a page comes at once, without what has not arrived; the one that shows so asks again and waits.
    #[must_use]
    pub fn patience(&self) -> Patience {
        let waits = self.req.headers().contains_key("x-wait")
            || self.req.query_string().split('&').any(|pair| pair == "wait=1");
        if waits { Patience::Full } else { Patience::Glance }
    }

    /// The address of this page for who waits without script.
    #[must_use]
    pub fn awaited(&self) -> String {
        let query = self.req.query_string();
        format!("{}?{query}{}wait=1", self.req.path(), if query.is_empty() { "" } else { "&" })
    }

    /// A page in its shell.
    ///
    /// # Errors
    /// When the database fails, or the template is broken.
    pub async fn show<R: Needed, P: Page>(&self, who: &Guarded<R>, page: &P) -> Result<HttpResponse, ApiError> {
        self.answer(StatusCode::OK, &self.shell(who).await?, page)
    }

    /// The page of a form again, with what is wrong.
    ///
    /// # Errors
    /// When the database fails, or the template is broken.
    pub async fn again<R: Needed, P: Page>(&self, who: &Guarded<R>, page: &P) -> Result<HttpResponse, ApiError> {
        self.answer(StatusCode::UNPROCESSABLE_ENTITY, &self.shell(who).await?, page)
    }

    /// A page as an answer. It is not kept by caches: it shows what one person may see now.
    ///
    /// # Errors
    /// When the template is broken.
    pub fn answer<P: Page>(&self, status: StatusCode, shell: &Shell, page: &P) -> Result<HttpResponse, ApiError> {
        let html = self.pages.render(shell, page).map_err(|error| broken(&error))?;
        Ok(HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(html))
    }

    /// A fragment that says by itself where the browser is then.
    ///
    /// # Errors
    /// When the database fails, or the template is broken.
    pub async fn piece<R: Needed, P: Page>(&self, who: &Guarded<R>, page: &P) -> Result<HttpResponse, ApiError> {
        let shell = self.shell(who).await?;
        Ok(piece(self.pages.render(&shell, page).map_err(|error| broken(&error))?))
    }

    /// A fragment: 204 while it is the same as at the browser's cursor.
    ///
    /// # Errors
    /// When the database fails, or the template is broken.
    pub async fn fragment<R: Needed, P: Page>(
        &self,
        who: &Guarded<R>,
        cursor: &str,
        path: &str,
        page: &P,
    ) -> Result<HttpResponse, ApiError> {
        let tag = tag(path, self.req.query_string());
        let shell = Shell { path: path.to_owned(), tag, said: "", refused: "", ..self.shell(who).await? };
        let html = self.pages.render(&shell, page).map_err(|error| broken(&error))?;
        let now = crate::service::random::TokenHash::of(&html).as_str()[..16].to_owned();
        if now == cursor {
            return Ok(HttpResponse::NoContent().finish());
        }
        Ok(piece(format!("<template data-cursor=\"{now}\">{html}</template>")))
    }
}

/// What the browser has of a live part of a page.
#[derive(Debug, Deserialize)]
pub struct LiveQuery {
    /// What it was told with it; empty at first.
    #[serde(default)]
    pub cursor: String,
}

fn piece(html: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(html)
}

fn broken(error: &tera::Error) -> ApiError {
    tracing::error!("a page cannot be rendered: {error:?}");
    ActError::Internal("a page cannot be rendered").into()
}

/// Pages that can be narrowed to the hosts with a tag; from one to the next the tag is kept.
const TAGGED: [&str; 6] = ["/", "/hosts", "/jobs", "/snapshots", "/repositories", "/alerts"];

/// The tag of hosts that a page is narrowed to, ready for another address.
fn tag(path: &str, query: &str) -> String {
    let asked = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "tag").map(|(_, tag)| tag);
    match asked {
        Some(tag) if TAGGED.contains(&path) => address("", &[("tag", tag.trim())]),
        Some(_) | None => String::new(),
    }
}

/// What the page before has done, by a code in the address.
fn said(query: &str) -> &'static str {
    done(told(query, "done="))
}

/// The code that an address has under a name.
fn told<'a>(query: &'a str, name: &str) -> &'a str {
    query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default()
}

/// Goes on to another page of this site.
#[must_use]
pub fn go(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}

/// The address of a page with what it is asked for; what is empty is left out.
#[must_use]
pub fn address(path: &str, asked: &[(&str, &str)]) -> String {
    let said: Vec<_> = asked.iter().filter(|(_, value)| !value.is_empty()).collect();
    if said.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(said).finish())
}

/// A path of this very site, or the dashboard.
#[must_use]
pub fn own_path(path: &str) -> &str {
    let fine = path.starts_with('/') && !path.starts_with("//") && !path.contains(['\\', '\r', '\n', '\t']);
    if fine { path } else { "/" }
}

/// Says that something did not work, why, and where to go from there.
#[derive(Debug, Serialize)]
pub struct ErrorPage {
    /// The status that it is answered with.
    pub status: u16,
    /// What happened.
    pub title: String,
    /// What it means and what to do.
    pub detail: String,
    /// Where to go.
    pub links: Vec<Link>,
}

impl Page for ErrorPage {
    const TEMPLATE: &'static str = "pages/error.html";
}

/// Turns refusals into pages.
///
/// # Errors
/// None of its own, and handlers' errors are answers already.
pub async fn errors<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    // The request is looked at only afterwards: actix panics when a clone of it is held while routes are matched.
    let response = next.call(req).await?.map_into_boxed_body();
    let (request, status) = (response.request().clone(), response.status());
    let html = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|t| t.as_bytes().starts_with(b"text/html") || request.path().starts_with("/static/"));
    let machine = ["/api/", "/agent/"].iter().any(|p| request.path().starts_with(p));
    if machine || html || !(status.is_client_error() || status.is_server_error()) {
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let allow = response.headers().get(header::ALLOW).cloned();
    let wait = response.headers().get(header::RETRY_AFTER).cloned();
    let text = body::to_bytes_limited(response.into_body(), 64 * 1024).await;
    let told = text.ok().and_then(Result::ok).and_then(|bytes| serde_json::from_slice::<Problem>(&bytes).ok());
    let mut answer = refuse(&request, &told.unwrap_or_else(|| plain(status))).await;
    for (name, value) in [(header::ALLOW, allow), (header::RETRY_AFTER, wait)] {
        if let Some(value) = value {
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(ServiceResponse::new(request, answer))
}

fn plain(status: StatusCode) -> Problem {
    let title = match status {
        StatusCode::NOT_FOUND => refusal::NOT_FOUND,
        StatusCode::METHOD_NOT_ALLOWED => refusal::METHOD_NOT_ALLOWED,
        StatusCode::PAYLOAD_TOO_LARGE => refusal::TOO_LARGE,
        _ => refusal::OTHER,
    };
    problem(status, "", title, None)
}

async fn refuse(req: &HttpRequest, told: &Problem) -> HttpResponse {
    let fragment = req.headers().contains_key("x-fragment");
    if told.status == 401 && !fragment {
        return to_sign_in(req).await;
    }
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let bare = || HttpResponse::build(status).content_type("text/plain").body(told.title.clone());
    let Some(view) = View::of(req).filter(|_| !fragment) else { return bare() };
    let who = Guarded::<Viewer>::from_request(req, &mut Payload::None).await;
    let shell = match &who {
        Ok(who) => view.shell(who).await.unwrap_or_else(|_| view.stranger()),
        Err(_) => view.stranger(),
    };
    let page = ErrorPage {
        status: told.status,
        title: told.title.clone(),
        detail: told.detail.clone().unwrap_or_else(|| refusal::START_AGAIN.into()),
        links: ways_on(req, told),
    };
    view.answer(status, &shell, &page).unwrap_or_else(|_| bare())
}

/// Where to go from a refusal.
fn ways_on(req: &HttpRequest, told: &Problem) -> Vec<Link> {
    let link = |href: String, text: &str| Link { href, text: text.into() };
    let mut links = vec![];
    let host = req.path().strip_prefix("/hosts/").and_then(|rest| rest.split('/').next());
    let host = host.filter(|host| !matches!(*host, "actions" | "add"));
    match (told.code.as_str(), host, told.job_id) {
        ("already_running", _, Some(job)) => links.push(link(format!("/jobs/{job}"), refusal::TO_RUNNING_JOB)),
        (_, Some(host), _) if req.method() == Method::POST => {
            links.push(link(format!("/hosts/{host}"), refusal::TO_HOST))
        }
        _ => {}
    }
    let repository = req.path().strip_prefix("/repositories/").and_then(|rest| rest.split('/').next());
    if let Some(repository) = repository.filter(|_| req.method() == Method::POST) {
        links.push(link(format!("/repositories/{repository}"), refusal::TO_REPOSITORY));
    }
    let job = req.path().strip_prefix("/jobs/").and_then(|rest| rest.split('/').next());
    if let Some(job) = job.filter(|_| req.method() == Method::POST) {
        links.push(link(format!("/jobs/{job}"), refusal::TO_JOB));
    }
    links.push(link("/".into(), refusal::TO_DASHBOARD));
    links
}

async fn to_sign_in(req: &HttpRequest) -> HttpResponse {
    let Some(services) = req.app_data::<web::Data<Services>>() else { return go("/login") };
    if users::setup_open(services).await.unwrap_or(false) {
        return go("/setup");
    }
    let wanted = req.uri().path_and_query().map_or("/", |p| p.as_str());
    if req.method() != Method::GET || wanted == "/" {
        return go("/login");
    }
    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
    go(&format!("/login?next={next}"))
}

/// Whether cookies are sent over HTTPS only.
#[must_use]
pub fn secure(req: &HttpRequest) -> bool {
    req.app_data::<web::Data<Site>>().is_some_and(|site| site.is_https(req))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_gone_to() {
        for (path, to) in [
            ("/hosts", "/hosts"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\\evil.example", "/"),
            ("", "/"),
            ("/a\r\nb", "/"),
        ] {
            assert_eq!(own_path(path), to, "{path:?}");
        }
    }

    #[test]
    fn addresses_leave_out_what_is_empty() {
        assert_eq!(address("/hosts", &[("q", ""), ("tag", "a b&c"), ("sort", "name")]), "/hosts?tag=a+b%26c&sort=name");
        assert_eq!(address("/hosts", &[("q", "")]), "/hosts");
    }

    #[test]
    fn lists_hand_on_the_tag_of_hosts() {
        for (path, query, tag_too) in [
            ("/hosts", "q=a&tag=acme+%26+co", "?tag=acme+%26+co"),
            ("/jobs", "tag=acme", "?tag=acme"),
            ("/alerts", "show=all&tag=acme", "?tag=acme"),
            ("/jobs", "tag=+", ""),
            ("/", "tag=acme", "?tag=acme"),
            ("/snapshots", "snapshot_tag=nightly", ""),
            ("/settings/users", "tag=acme", ""),
            ("/hosts", "", ""),
        ] {
            assert_eq!(tag(path, query), tag_too, "{path}?{query}");
        }
    }

    #[test]
    fn what_was_done_is_told_in_our_own_words_only() {
        assert!(said("a=1&done=schedule-saved").contains("saved"));
        assert_eq!(said("done=<script>"), "");
    }
}
