//! Users, API tokens and the general settings over the API.

use super::Errors;
use crate::domain::permission::Role;
use crate::domain::watch::General;
use crate::http::guard::{Admin, Guarded, Viewer};
use crate::http::params::Input;
use crate::http::problem::ApiError;
use crate::service::tokens::ApiTokenView;
use crate::service::user_admin::{UserChange, UserView};
use crate::service::{ActError, Services, general, tokens, user_admin, users};
use actix_web::{HttpResponse, delete, get, patch, post, put, web};
use restic_manager_shared::id::{ApiTokenId, UserId};
use restic_manager_shared::secret::Secret;
use serde::{Deserialize, Serialize};

/// A user to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserInput {
    /// Sign-in name.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// At least 10 characters, none of the commonest.
    pub password: Secret,
    /// What they may do.
    pub role: Role,
}

/// A user that was added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewUser {
    /// Identity.
    pub id: UserId,
}

/// Add a user
#[utoipa::path(operation_id = "createUser", tag = "administration", request_body = UserInput, responses((status = 201, body = NewUser), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/users")]
pub async fn create_user(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<UserInput>,
) -> Result<HttpResponse, ApiError> {
    let UserInput { name, password, role } = input.read()?;
    let id = users::add(&s, &who.actor, name, password, role).await?;
    Ok(HttpResponse::Created().json(NewUser { id }))
}

/// Show the general settings
///
/// What holds for all hosts that say nothing else.
#[utoipa::path(operation_id = "getSettings", tag = "administration", responses((status = 200, body = General), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/settings")]
pub async fn get_settings(_: Guarded<Viewer>, s: web::Data<Services>) -> Result<web::Json<General>, ApiError> {
    Ok(web::Json(general::get(&s).await?))
}

/// Change the general settings
#[utoipa::path(operation_id = "putSettings", tag = "administration", request_body = General, responses((status = 200, body = General), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/settings")]
pub async fn put_settings(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<General>,
) -> Result<web::Json<General>, ApiError> {
    Ok(web::Json(general::put(&s, &who.actor, input.read()?).await?))
}

/// The users.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UserList {
    /// All of them, by name.
    pub items: Vec<UserView>,
    /// Always none: there is one page.
    pub next: Option<String>,
}

/// List users
#[utoipa::path(operation_id = "listUsers", tag = "administration", responses((status = 200, body = UserList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[get("/users")]
pub async fn list_users(_: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<UserList>, ApiError> {
    Ok(web::Json(UserList { items: user_admin::list(&s).await?, next: None }))
}

/// What is changed of a user; what is left out stays as it is.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// What they may do.
    pub role: Option<Role>,
    /// Refused at sign-in, and signed out.
    pub disabled: Option<bool>,
    /// A new password.
    pub password: Option<Secret>,
}

/// Change a user
///
/// Whoever is shut out, may do less than before or gets another password is signed out everywhere.
#[utoipa::path(operation_id = "updateUser", tag = "administration", params(("id" = UserId, Path)), request_body = UserPatch, responses((status = 200, body = UserView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[patch("/users/{id}")]
pub async fn update_user(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<UserId>,
    input: Input<UserPatch>,
) -> Result<web::Json<UserView>, ApiError> {
    let UserPatch { role, disabled, password } = input.read()?;
    let change = UserChange { role, disabled, password };
    Ok(web::Json(user_admin::change(&s, &who.actor, *id, change).await?))
}

/// Sign a user out everywhere
#[utoipa::path(operation_id = "signOutUser", tag = "administration", params(("id" = UserId, Path)), responses((status = 204, description = "Signed out"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/users/{id}/sign-out")]
pub async fn sign_out_user(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<UserId>,
) -> Result<HttpResponse, ApiError> {
    user_admin::sign_out(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Delete a user
///
/// What they did stays in the audit log under their name.
#[utoipa::path(operation_id = "deleteUser", tag = "administration", params(("id" = UserId, Path)), responses((status = 204, description = "Deleted"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/users/{id}")]
pub async fn delete_user(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<UserId>,
) -> Result<HttpResponse, ApiError> {
    user_admin::delete(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The API tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ApiTokenList {
    /// All that were not revoked, by name.
    pub items: Vec<ApiTokenView>,
    /// Always none: there is one page.
    pub next: Option<String>,
}

/// List API tokens
#[utoipa::path(operation_id = "listApiTokens", tag = "administration", responses((status = 200, body = ApiTokenList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[get("/api-tokens")]
pub async fn list_api_tokens(_: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<ApiTokenList>, ApiError> {
    Ok(web::Json(ApiTokenList { items: tokens::list(&s).await?, next: None }))
}

/// Revoke an API token
///
/// The next request with it is refused.
#[utoipa::path(operation_id = "revokeApiToken", tag = "administration", params(("id" = ApiTokenId, Path)), responses((status = 204, description = "Revoked"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/api-tokens/{id}")]
pub async fn revoke_api_token(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ApiTokenId>,
) -> Result<HttpResponse, ApiError> {
    tokens::revoke(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// An API token to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenInput {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// After how many days it ends; left out for a token that does not end.
    #[schema(minimum = 1, maximum = 3650)]
    pub expires_in_days: Option<u32>,
}

/// An API token, shown once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewApiToken {
    /// The token. It is not kept and cannot be shown again.
    pub token: String,
}

/// Make an API token
#[utoipa::path(operation_id = "createApiToken", tag = "administration", request_body = ApiTokenInput, responses((status = 201, body = NewApiToken), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/api-tokens")]
pub async fn create_api_token(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<ApiTokenInput>,
) -> Result<HttpResponse, ApiError> {
    let ApiTokenInput { name, role, expires_in_days } = input.read()?;
    let new = tokens::NewApiToken { id: ApiTokenId::new(), name, role, days: expires_in_days };
    let made = tokens::add(&s, &who.actor, new).await?.ok_or(ActError::Internal("a new identity was known"))?;
    Ok(HttpResponse::Created().json(NewApiToken { token: made.reveal().to_owned() }))
}
