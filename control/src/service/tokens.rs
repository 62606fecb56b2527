//! API tokens: made once, shown once, kept as hashes.

use super::random::{PlainToken, TokenHash};
use super::{ActError, Noun, Services, audit};
use crate::domain::permission::{Actor, Role, Who};
use crate::domain::repository::check_name;
use crate::store::tokens;
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// A token that ends does so within ten years.
const LONGEST: u32 = 3650;

/// A token, without what it is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ApiTokenView {
    /// Identity.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when; none for ever.
    pub expires_at: Option<Timestamp>,
}

/// All tokens that were not revoked, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services) -> Result<Vec<ApiTokenView>, ActError> {
    let all = s.db.read(|conn| Ok::<_, ActError>(tokens::list(conn)?)).await?;
    let view = |t: tokens::ApiTokenRecord| {
        let tokens::ApiTokenRecord { id, name, role, created_by, created_at, expires_at, token_hash: _ } = t;
        ApiTokenView { id, name, role, created_by, created_at, expires_at }
    };
    Ok(all.into_iter().map(view).collect())
}

/// Takes a token back: the next request with it is refused.
///
/// # Errors
/// There is none, or it was taken back before.
pub async fn revoke(s: &Services, actor: &Actor, id: ApiTokenId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let token = tokens::revoke(conn, id, now)?.ok_or(ActError::NotFound(Noun::ApiToken))?;
        let detail = serde_json::json!({"name": token.name, "role": token.role});
        Ok(audit::record(conn, &actor, now, "api_token.revoke", &format!("api_token:{id}"), &detail)?)
    })
    .await
}

/// Makes an API token. It ends after so many days, or never.
///
/// # Errors
/// When the name or the number of days is not valid.
pub async fn add(
    s: &Services,
    actor: &Actor,
    name: String,
    role: Role,
    days: Option<u32>,
) -> Result<PlainToken, ActError> {
    if let Some(wrong) = check_name(&name, "/name") {
        return Err(ActError::Invalid(vec![wrong]));
    }
    if days.is_some_and(|days| !(1..=LONGEST).contains(&days)) {
        return Err(ActError::field(
            "/expires_in_days",
            format!("1 to {LONGEST} days; none for a token that does not end"),
        ));
    }
    let token = PlainToken::new("rma_");
    let (now, actor) = (Timestamp::now(), actor.clone());
    let record = tokens::ApiTokenRecord {
        id: ApiTokenId::new(),
        name,
        token_hash: token.hash().as_str().to_owned(),
        role,
        created_by: actor.label(),
        created_at: now,
        expires_at: days.map(|days| now + Duration::from_secs(u64::from(days) * 24 * 3600)),
    };
    s.db.write(move |conn| {
        tokens::insert(conn, &record)?;
        let detail = serde_json::json!({"name": record.name, "role": record.role});
        Ok::<_, ActError>(audit::record(
            conn,
            &actor,
            now,
            "api_token.add",
            &format!("api_token:{}", record.id),
            &detail,
        )?)
    })
    .await?;
    Ok(token)
}

/// Who a bearer token belongs to.
///
/// # Errors
/// When the database fails.
pub async fn by_bearer(s: &Services, token: &str, address: String) -> Result<Option<Actor>, ActError> {
    let (hash, now) = (TokenHash::of(token), Timestamp::now());
    let found = s.db.read(move |conn| Ok::<_, ActError>(tokens::by_hash(conn, hash.as_str(), now)?)).await?;
    Ok(found.map(|t| Actor { who: Who::ApiToken(t.id), name: t.name, role: t.role, address }))
}
