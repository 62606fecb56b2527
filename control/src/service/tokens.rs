//! API tokens: made once, shown once, kept as hashes.

use super::random::{PlainToken, TokenHash};
use super::{ActError, Services, audit};
use crate::domain::permission::{Actor, Role, Who};
use crate::domain::repository::check_name;
use crate::store::tokens;
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;

/// Makes an API token.
///
/// # Errors
/// When the name is not valid.
pub async fn add(s: &Services, actor: &Actor, name: String, role: Role) -> Result<PlainToken, ActError> {
    if let Some(wrong) = check_name(&name, "/name") {
        return Err(ActError::Invalid(vec![wrong]));
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
        expires_at: None,
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
