//! Users as an administrator sees them: who there is, changing their role, their password, shutting them out. There is always one left who may
//! do everything.

use super::users::{check_password, hash};
use super::{ActError, Noun, Refusal, Services, audit};
use crate::domain::permission::{Actor, Role, Who};
use crate::store::users::UserRecord;
use crate::store::{Conn, users};
use restic_manager_shared::id::UserId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// A user, without what signs them in.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct UserView {
    /// Identity.
    pub id: UserId,
    /// Sign-in name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Refused at sign-in, and signed out.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_login_at: Option<Timestamp>,
}

impl From<UserRecord> for UserView {
    fn from(u: UserRecord) -> Self {
        let UserRecord { id, name, role, disabled, created_at, last_login_at, password_hash: _ } = u;
        Self { id, name, role, disabled, created_at, last_login_at }
    }
}

/// All users, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services) -> Result<Vec<UserView>, ActError> {
    let all = s.db.read(|conn| Ok::<_, ActError>(users::list(conn)?)).await?;
    Ok(all.into_iter().map(UserView::from).collect())
}

/// One of them.
///
/// # Errors
/// There is none.
pub async fn get(s: &Services, id: UserId) -> Result<UserView, ActError> {
    s.db.read(move |conn| load(conn, id)).await.map(UserView::from)
}

fn load(conn: &mut Conn, id: UserId) -> Result<UserRecord, ActError> {
    users::get(conn, id)?.ok_or(ActError::NotFound(Noun::User))
}

/// What is changed; what is none stays as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// What they may do.
    pub role: Option<Role>,
    /// Whether they are shut out.
    pub disabled: Option<bool>,
    /// A new password.
    pub password: Option<Secret>,
}

/// Changes a user. Whoever is shut out, may do less than before or gets another password is signed out everywhere.
///
/// # Errors
/// There is none, the password is too weak, or nobody would be left who may do everything.
pub async fn change(s: &Services, actor: &Actor, id: UserId, change: UserChange) -> Result<UserView, ActError> {
    let before = get(s, id).await?;
    let hashed = match change.password {
        None => None,
        Some(password) => {
            check_password(&before.name, &password)?;
            Some(s.gate.blocking(move || hash(&password)).await??)
        }
    };
    let (actor, now) = (actor.clone(), Timestamp::now());
    let changed = s.db.write(move |conn| {
        let mut user = load(conn, id)?;
        let was = (user.role, user.disabled);
        user.role = change.role.unwrap_or(user.role);
        user.disabled = change.disabled.unwrap_or(user.disabled);
        let new_password = hashed.is_some();
        user.password_hash = hashed.unwrap_or(user.password_hash);
        users::update(conn, &user)?;
        somebody_is_left(conn)?;
        if user.disabled || new_password || !user.role.covers(was.0) {
            users::end_sessions_of(conn, id)?;
        }
        let detail = serde_json::json!({"name": user.name, "role": user.role, "disabled": user.disabled,
            "was": {"role": was.0, "disabled": was.1}, "new_password": new_password});
        audit::record(conn, &actor, now, "user.update", &format!("user:{id}"), &detail)?;
        Ok::<_, ActError>(user)
    });
    Ok(changed.await?.into())
}

/// Somebody has to be able to sign in and do everything. Asked after the change, inside of it.
fn somebody_is_left(conn: &mut Conn) -> Result<(), ActError> {
    let can = |u: &UserRecord| u.role == Role::Admin && !u.disabled;
    if users::list(conn)?.iter().any(can) { Ok(()) } else { Err(Refusal::LastAdmin.into()) }
}

/// Signs a user out everywhere.
///
/// # Errors
/// There is none.
pub async fn sign_out(s: &Services, actor: &Actor, id: UserId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let user = load(conn, id)?;
        users::end_sessions_of(conn, id)?;
        let detail = serde_json::json!({"name": user.name});
        Ok(audit::record(conn, &actor, now, "user.sign_out", &format!("user:{id}"), &detail)?)
    })
    .await
}

/// Deletes a user. What they did stays in the audit log under their name.
///
/// # Errors
/// There is none, it is oneself, or nobody would be left who may do everything.
pub async fn delete(s: &Services, actor: &Actor, id: UserId) -> Result<(), ActError> {
    if matches!(actor.who, Who::User(own, _) if own == id) {
        return Err(Refusal::LastAdmin.into());
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let user = load(conn, id)?;
        users::delete(conn, id)?;
        somebody_is_left(conn)?;
        let detail = serde_json::json!({"name": user.name, "role": user.role});
        Ok(audit::record(conn, &actor, now, "user.delete", &format!("user:{id}"), &detail)?)
    })
    .await
}
