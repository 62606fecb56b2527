//! Users: who there is, adding one, and one user's own page where everything about them is changed.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::{RightLine, RoleChoice, rights, roles};
use crate::domain::permission::{Role, Who};
use crate::http::guard::{Admin, Guarded, SafeForm};
use crate::http::problem::ApiError;
use crate::service::user_admin::{self, UserChange, UserView};
use crate::service::{Services, users};
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::UserId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The fields of the forms.
const FIELDS: [&str; 4] = ["name", "password", "role", "disabled"];

/// All users, and the form to add one.
#[derive(Debug, Serialize)]
pub struct SettingsUsersPage {
    /// The open tab.
    pub tab: &'static str,
    /// The users.
    pub users: Vec<UserRow>,
    /// Roles to choose from.
    pub roles: Vec<RoleChoice>,
    /// What each may do.
    pub rights: Vec<RightLine>,
    /// The name that was typed.
    pub name: String,
    /// The role that was chosen.
    pub role: String,
    /// What is wrong with the form.
    pub errors: FormErrors,
}

impl Page for SettingsUsersPage {
    const TEMPLATE: &'static str = "pages/settings-users.html";
    const NAV: &'static str = "settings";
}

/// One user.
#[derive(Debug, Serialize)]
pub struct SettingsUserPage {
    /// The open tab.
    pub tab: &'static str,
    /// The user.
    pub user: UserRow,
    /// Roles to choose from.
    pub roles: Vec<RoleChoice>,
    /// What is wrong with the form.
    pub errors: FormErrors,
}

impl Page for SettingsUserPage {
    const TEMPLATE: &'static str = "pages/settings-user.html";
    const NAV: &'static str = "settings";
}

/// A user in the list.
#[derive(Debug, Serialize)]
pub struct UserRow {
    /// Identity.
    pub id: String,
    /// Sign-in name.
    pub name: String,
    /// Role.
    pub role: &'static str,
    /// Shut out.
    pub disabled: bool,
    /// When they last signed in.
    pub last: Option<Moment>,
    /// It is who looks.
    pub own: bool,
}

impl UserRow {
    fn new(user: &UserView, who: &Guarded<Admin>, now: Timestamp) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name.clone(),
            role: user.role.as_str(),
            disabled: user.disabled,
            last: user.last_login_at.map(|at| Moment::new(at, now)),
            own: matches!(who.actor.who, Who::User(own, _) if own == user.id),
        }
    }
}

async fn list_page(
    s: &Services,
    who: &Guarded<Admin>,
    form: &AddForm,
    errors: FormErrors,
) -> Result<SettingsUsersPage, ApiError> {
    let now = Timestamp::now();
    let users = user_admin::list(s).await?.iter().map(|user| UserRow::new(user, who, now)).collect();
    let (name, role) = (form.name.clone(), form.role.clone());
    Ok(SettingsUsersPage { tab: "users", users, roles: roles(), rights: rights(), name, role, errors })
}

/// Shows all users.
#[get("/settings/users")]
pub async fn list(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &list_page(&s, &who, &AddForm::default(), FormErrors::default()).await?).await
}

/// A user to be.
#[derive(Debug, Default, Deserialize)]
pub struct AddForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    role: String,
}

/// Adds a user.
#[post("/settings/users")]
pub async fn add(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<AddForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    let errors = match form.role.parse::<Role>() {
        Err(_) => wrong("role", wrong::ROLE),
        Ok(role) => match users::add(&s, &who.actor, form.name.trim().to_owned(), form.password.clone(), role).await {
            Ok(_) => return Ok(go("/settings/users?done=user-added")),
            Err(error) => FormErrors::of(error, &FIELDS)?,
        },
    };
    view.again(&who, &list_page(&s, &who, &form, errors).await?).await
}

/// One field that needs a change.
fn wrong(field: &str, detail: &str) -> FormErrors {
    let mut errors = FormErrors::default();
    errors.add(field, detail);
    errors
}

async fn user_page(
    s: &Services,
    who: &Guarded<Admin>,
    id: UserId,
    errors: FormErrors,
) -> Result<SettingsUserPage, ApiError> {
    let user = user_admin::get(s, id).await?;
    let user = UserRow::new(&user, who, Timestamp::now());
    Ok(SettingsUserPage { tab: "users", user, roles: roles(), errors })
}

/// Shows one user.
#[get("/settings/users/{id}")]
pub async fn show(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<UserId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &user_page(&s, &who, *id, FormErrors::default()).await?).await
}

/// What is to become of a user: the button says which act.
#[derive(Debug, Deserialize)]
pub struct UserForm {
    #[serde(default)]
    act: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    disabled: Option<String>,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    sure: Option<String>,
}

/// Changes a user, signs them out or deletes them.
#[post("/settings/users/{id}")]
pub async fn change(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<UserId>,
    form: SafeForm<UserForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    let done = match form.act.as_str() {
        "sign-out" => user_admin::sign_out(&s, &who.actor, *id).await.map(|()| "signed-out"),
        "delete" if form.sure.is_none() => {
            let errors = wrong("sure", wrong::SURE);
            return view.again(&who, &user_page(&s, &who, *id, errors).await?).await;
        }
        "delete" => user_admin::delete(&s, &who.actor, *id).await.map(|()| "user-deleted"),
        "password" => {
            let change = UserChange { password: Some(form.password), ..UserChange::default() };
            user_admin::change(&s, &who.actor, *id, change).await.map(|_| "saved")
        }
        _ => {
            let Ok(role) = form.role.parse::<Role>() else {
                return view.again(&who, &user_page(&s, &who, *id, wrong("role", wrong::ROLE)).await?).await;
            };
            let change = UserChange { role: Some(role), disabled: Some(form.disabled.is_some()), password: None };
            user_admin::change(&s, &who.actor, *id, change).await.map(|_| "saved")
        }
    };
    match done {
        Ok(done) => Ok(go(&format!("/settings/users?done={done}"))),
        Err(error) => {
            let errors = FormErrors::of(error, &FIELDS)?;
            view.again(&who, &user_page(&s, &who, *id, errors).await?).await
        }
    }
}
