//! API tokens: what scripts sign in with. Shown once when they are made; taking one back is asked about.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::super::view::asked_by;
use super::rollout::SettingsAskPage;
use super::{RoleChoice, roles};
use crate::domain::permission::Role;
use crate::http::guard::{Admin, Guarded, SafeForm};
use crate::http::problem::ApiError;
use crate::service::tokens::NewApiToken;
use crate::service::{ActError, Noun, Services, tokens};
use crate::words::Moment;
use crate::words::token as words;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A token that was not used for so long is marked: it may not be needed.
const IDLE: Duration = Duration::from_secs(90 * 24 * 3600);

/// The fields of the form.
const FIELDS: [&str; 3] = ["name", "role", "expires_in_days"];

/// All tokens, and the form to make one.
#[derive(Debug, Serialize)]
pub struct SettingsTokensPage {
    /// The open tab.
    pub tab: &'static str,
    /// The tokens.
    pub tokens: Vec<TokenRow>,
    /// Roles to choose from.
    pub roles: Vec<RoleChoice>,
    /// What was typed.
    pub form: TokenForm,
    /// The token that was just made: this is the only time it is seen.
    pub made: String,
    /// The form was sent before, and has made its token.
    pub made_before: bool,
    /// What is wrong with the form.
    pub errors: FormErrors,
}

impl Page for SettingsTokensPage {
    const TEMPLATE: &'static str = "pages/settings-tokens.html";
    const NAV: &'static str = "settings";
}

/// A token in the list.
#[derive(Debug, Serialize)]
pub struct TokenRow {
    /// Identity.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// How it begins.
    pub prefix: Option<String>,
    /// Role.
    pub role: &'static str,
    /// Who made it.
    pub by: String,
    /// When.
    pub made: Moment,
    /// When it was last used, and from where.
    pub used: Option<(Moment, String)>,
    /// It has not been used for long.
    pub idle: bool,
    /// Until when.
    pub until: Option<Moment>,
    /// It has ended.
    pub ended: bool,
}

/// A token to be.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TokenForm {
    /// The identity of the token to be: sent twice, the form makes one.
    #[serde(default)]
    pub key: String,
    /// What it is for.
    #[serde(default)]
    pub name: String,
    /// What it may do.
    #[serde(default)]
    pub role: String,
    /// After how many days it ends; empty for never.
    #[serde(default)]
    pub expires_in_days: String,
}

impl TokenForm {
    fn blank() -> Self {
        Self { key: ApiTokenId::new().to_string(), ..Self::default() }
    }

    fn read(&self) -> Result<NewApiToken, FormErrors> {
        let mut wrong = FormErrors::default();
        let role = self.role.parse::<Role>().map_err(|_| wrong.add("role", wrong::ROLE)).ok();
        let days = match self.expires_in_days.trim() {
            "" => None,
            days => days.parse().map_err(|_| wrong.add("expires_in_days", wrong::DAYS)).ok(),
        };
        match role {
            Some(role) if wrong.is_empty() => {
                let id = self.key.parse().unwrap_or_else(|_| ApiTokenId::new());
                Ok(NewApiToken { id, name: self.name.trim().to_owned(), role, days })
            }
            _ => Err(wrong),
        }
    }
}

async fn page(s: &Services, form: TokenForm, errors: FormErrors) -> Result<SettingsTokensPage, ApiError> {
    let now = Timestamp::now();
    let row = |t: tokens::ApiTokenView| TokenRow {
        id: t.id.to_string(),
        name: t.name,
        prefix: t.prefix,
        role: t.role.as_str(),
        by: asked_by(&t.created_by),
        made: Moment::new(t.created_at, now),
        idle: t.last_used_at.unwrap_or(t.created_at) < now - IDLE,
        used: t.last_used_at.map(|at| Moment::new(at, now)).zip(t.last_used_from),
        until: t.expires_at.map(|at| Moment::new(at, now)),
        ended: t.expires_at.is_some_and(|at| at <= now),
    };
    let tokens = tokens::list(s).await?.into_iter().map(row).collect();
    let (made, made_before) = (String::new(), false);
    Ok(SettingsTokensPage { tab: "tokens", tokens, roles: roles(), form, made, made_before, errors })
}

/// Shows all tokens.
#[get("/settings/tokens")]
pub async fn list(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, TokenForm::blank(), FormErrors::default()).await?).await
}

/// Makes a token, and shows it.
#[post("/settings/tokens")]
pub async fn add(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<TokenForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    let errors = match form.read() {
        Err(wrong) => wrong,
        Ok(new) => match tokens::add(&s, &who.actor, new).await {
            Ok(token) => {
                let page = page(&s, TokenForm::blank(), FormErrors::default()).await?;
                let made = token.as_ref().map(|token| token.reveal().to_owned()).unwrap_or_default();
                return view.show(&who, &SettingsTokensPage { made, made_before: token.is_none(), ..page }).await;
            }
            Err(error) => FormErrors::of(error, &FIELDS)?,
        },
    };
    view.again(&who, &page(&s, form, errors).await?).await
}

/// Asks before a token is taken back.
#[get("/settings/tokens/{id}/revoke")]
pub async fn ask_revoke(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ApiTokenId>,
) -> Result<HttpResponse, ApiError> {
    let token = tokens::list(&s).await?.into_iter().find(|t| t.id == *id).ok_or(ActError::NotFound(Noun::ApiToken))?;
    let page = SettingsAskPage {
        from: ("/settings/tokens", words::TOKENS),
        title: words::revoke(&token.name),
        words: words::revoke_means(token.role.as_str(), &asked_by(&token.created_by)),
        action: format!("/settings/tokens/{id}/revoke"),
        fields: vec![],
        button: words::REVOKE,
        danger: true,
    };
    view.show(&who, &page).await
}

/// Nothing but the press.
#[derive(Debug, Deserialize)]
pub struct RevokeForm {}

/// Takes a token back.
#[post("/settings/tokens/{id}/revoke")]
pub async fn revoke(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ApiTokenId>,
    _form: SafeForm<RevokeForm>,
) -> Result<HttpResponse, ApiError> {
    tokens::revoke(&s, &who.actor, *id).await?;
    Ok(go("/settings/tokens?done=token-revoked"))
}
