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
use crate::service::{ActError, Noun, Services, tokens};
use crate::words::Moment;
use crate::words::token as words;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// Role.
    pub role: &'static str,
    /// Who made it.
    pub by: String,
    /// When.
    pub made: Moment,
    /// Until when.
    pub until: Option<Moment>,
    /// It has ended.
    pub ended: bool,
}

/// A token to be.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct TokenForm {
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
    fn read(&self) -> Result<(Role, Option<u32>), FormErrors> {
        let mut wrong = FormErrors::default();
        let role = self.role.parse::<Role>().map_err(|_| wrong.add("role", wrong::ROLE)).ok();
        let days = match self.expires_in_days.trim() {
            "" => None,
            days => days.parse().map_err(|_| wrong.add("expires_in_days", wrong::DAYS)).ok(),
        };
        match role {
            Some(role) if wrong.is_empty() => Ok((role, days)),
            _ => Err(wrong),
        }
    }
}

async fn page(s: &Services, form: TokenForm, made: String, errors: FormErrors) -> Result<SettingsTokensPage, ApiError> {
    let now = Timestamp::now();
    let row = |t: tokens::ApiTokenView| TokenRow {
        id: t.id.to_string(),
        name: t.name,
        role: t.role.as_str(),
        by: asked_by(&t.created_by),
        made: Moment::new(t.created_at, now),
        until: t.expires_at.map(|at| Moment::new(at, now)),
        ended: t.expires_at.is_some_and(|at| at <= now),
    };
    let tokens = tokens::list(s).await?.into_iter().map(row).collect();
    Ok(SettingsTokensPage { tab: "tokens", tokens, roles: roles(), form, made, errors })
}

/// Shows all tokens.
#[get("/settings/tokens")]
pub async fn list(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, TokenForm::default(), String::new(), FormErrors::default()).await?).await
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
        Ok((role, days)) => match tokens::add(&s, &who.actor, form.name.trim().to_owned(), role, days).await {
            Ok(token) => {
                let made = token.reveal().to_owned();
                return view.show(&who, &page(&s, TokenForm::default(), made, FormErrors::default()).await?).await;
            }
            Err(error) => FormErrors::of(error, &FIELDS)?,
        },
    };
    view.again(&who, &page(&s, form, String::new(), errors).await?).await
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
