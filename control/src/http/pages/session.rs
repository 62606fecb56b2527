//! Coming and going: the first administrator, signing in and out, the theme, and whether single keys do something.

use super::door::{KEYS_COOKIE, THEME_COOKIE, View, go, own_path, secure};
use super::engine::Page;
use super::form::FormErrors;
use crate::http::guard::{Guarded, PLAIN_COOKIE, SECURE_COOKIE, SafeForm, Viewer};
use crate::http::params::Site;
use crate::http::problem::ApiError;
use crate::service::users::{Origin, SignedIn};
use crate::service::{Services, users};
use crate::words::wrong;
use actix_web::cookie::time::Duration as CookieAge;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use restic_manager_shared::secret::Secret;
use serde::{Deserialize, Serialize};

/// Makes the first administrator.
#[derive(Debug, Default, Serialize)]
pub struct SetupPage {
    /// The setup token as it was typed: it is long, and is void with the first administrator.
    pub token: String,
    /// What was typed as the name.
    pub name: String,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for SetupPage {
    const TEMPLATE: &'static str = "pages/setup.html";
}

/// Asks who it is.
#[derive(Debug, Default, Serialize)]
pub struct LoginPage {
    /// What was typed as the name.
    pub name: String,
    /// Where to go on to.
    pub next: String,
    /// Whether to stay signed in was ticked.
    pub stay: bool,
    /// What is wrong. Never says which of the two.
    pub errors: FormErrors,
}

impl Page for LoginPage {
    const TEMPLATE: &'static str = "pages/login.html";
}

/// The setup form.
#[derive(Debug, Deserialize)]
struct SetupForm {
    token: String,
    name: String,
    password: Secret,
    again: Secret,
}

/// The sign-in form.
#[derive(Debug, Deserialize)]
struct LoginForm {
    name: String,
    password: Secret,
    #[serde(default)]
    stay: Option<String>,
    #[serde(default)]
    next: String,
}

/// Where a sign-in leads to.
#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

/// The theme form.
#[derive(Debug, Deserialize)]
struct ThemeForm {
    theme: String,
    #[serde(default)]
    back: String,
}

/// The form that turns single keys on and off.
#[derive(Debug, Deserialize)]
struct KeysForm {
    keys: String,
    #[serde(default)]
    back: String,
}

fn origin(req: &HttpRequest, site: &Site) -> Origin {
    let agent = req.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    Origin { address: site.address(req), user_agent: agent.to_owned() }
}

/// Sends the browser on with its session.
fn enter(req: &HttpRequest, signed: &SignedIn, to: &str) -> HttpResponse {
    let https = secure(req);
    let name = if https { SECURE_COOKIE } else { PLAIN_COOKIE };
    let mut cookie = Cookie::build(name, signed.cookie.reveal().to_owned())
        .path("/")
        .http_only(true)
        .secure(https)
        .same_site(SameSite::Lax)
        .finish();
    if signed.stay {
        cookie.set_max_age(CookieAge::seconds(i64::try_from(signed.lasts.as_secs()).unwrap_or(0)));
    }
    HttpResponse::SeeOther().insert_header((header::LOCATION, own_path(to))).cookie(cookie).finish()
}

/// The page that makes the first administrator; gone when there is a user.
#[get("/setup")]
pub async fn setup_form(view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    if !users::setup_open(&s).await? {
        return Ok(go("/login"));
    }
    view.answer(StatusCode::OK, &view.stranger(), &SetupPage::default())
}

/// Makes the first administrator and signs them in.
#[post("/setup")]
pub async fn setup(
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    site: web::Data<Site>,
    form: SafeForm<SetupForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let origin = origin(&req, &site);
    let errors = if form.password == form.again {
        let made = users::setup(&s, form.token.trim(), form.name.clone(), form.password.clone(), &origin.address).await;
        match made {
            Ok(()) => FormErrors::default(),
            Err(error) => FormErrors::of(error, &["token", "name", "password"])?,
        }
    } else {
        let mut wrong = FormErrors::default();
        wrong.add("again", wrong::PASSWORDS_DIFFER);
        wrong
    };
    if !errors.is_empty() {
        let page = SetupPage { token: form.token, name: form.name, errors };
        return view.answer(StatusCode::UNPROCESSABLE_ENTITY, &view.stranger(), &page);
    }
    let signed = users::login(&s, form.name, form.password, false, origin).await?;
    Ok(enter(&req, &signed, "/"))
}

/// The sign-in page.
#[get("/login")]
pub async fn login_form(view: View, s: web::Data<Services>, next: web::Query<Next>) -> Result<HttpResponse, ApiError> {
    if users::setup_open(&s).await? {
        return Ok(go("/setup"));
    }
    let page = LoginPage { next: own_path(&next.next).to_owned(), ..LoginPage::default() };
    view.answer(StatusCode::OK, &view.stranger(), &page)
}

/// Signs a person in.
#[post("/login")]
pub async fn login(
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    site: web::Data<Site>,
    form: SafeForm<LoginForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let (name, stay) = (form.name.clone(), form.stay.is_some());
    match users::login(&s, form.name, form.password, stay, origin(&req, &site)).await {
        Ok(signed) => Ok(enter(&req, &signed, &form.next)),
        Err(error) => {
            let errors = FormErrors::of(error, &[])?;
            let page = LoginPage { name, next: own_path(&form.next).to_owned(), stay, errors };
            view.answer(StatusCode::UNPROCESSABLE_ENTITY, &view.stranger(), &page)
        }
    }
}

/// Signs a person out.
#[post("/logout")]
pub async fn logout(
    who: Guarded<Viewer>,
    req: HttpRequest,
    s: web::Data<Services>,
    _form: SafeForm<serde::de::IgnoredAny>,
) -> Result<HttpResponse, ApiError> {
    users::logout(&s, &who.actor).await?;
    let mut answer = go("/login");
    for name in [SECURE_COOKIE, PLAIN_COOKIE] {
        if req.cookie(name).is_some() {
            let mut cookie = Cookie::build(name, "").path("/").secure(name == SECURE_COOKIE).http_only(true).finish();
            cookie.make_removal();
            let _ = answer.add_cookie(&cookie);
        }
    }
    Ok(answer)
}

/// Keeps a choice of how pages are in the browser, or forgets it.
pub(super) fn keep(req: &HttpRequest, name: &'static str, value: Option<String>, back: &str) -> HttpResponse {
    let mut cookie = Cookie::build(name, value.clone().unwrap_or_default())
        .path("/")
        .secure(secure(req))
        .same_site(SameSite::Lax)
        .max_age(CookieAge::days(400))
        .finish();
    if value.is_none() {
        cookie.make_removal();
    }
    let mut answer = go(own_path(back));
    let _ = answer.add_cookie(&cookie);
    answer
}

/// Chooses light, dark, or what the system says.
#[post("/theme")]
pub async fn theme(_: Guarded<Viewer>, req: HttpRequest, form: SafeForm<ThemeForm>) -> Result<HttpResponse, ApiError> {
    let SafeForm(ThemeForm { theme, back }) = form;
    let known = matches!(theme.as_str(), "light" | "dark");
    Ok(keep(&req, THEME_COOKIE, known.then_some(theme), &back))
}

/// Turns single keys off, or on again: who dictates, or holds keys down by chance, would go where they did not want to.
#[post("/keys")]
pub async fn keys(_: Guarded<Viewer>, req: HttpRequest, form: SafeForm<KeysForm>) -> Result<HttpResponse, ApiError> {
    let SafeForm(KeysForm { keys, back }) = form;
    Ok(keep(&req, KEYS_COOKIE, (keys == "off").then_some(keys), &back))
}
