//! API tokens: made once, shown once, kept as hashes.

use super::random::{PlainToken, TokenHash};
use super::{ActError, Noun, Services, audit};
use crate::domain::permission::{Actor, Role, Who};
use crate::domain::repository::check_name;
use crate::store::{StoreError, tokens};
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A token that ends does so within ten years.
const LONGEST: u32 = 3650;
/// What every token begins with, so that secret scanners find it.
const KIND: &str = "rma_";
/// So many characters of a token may be seen afterwards: enough to tell tokens apart, too few to guess the other 38.
const SEEN: usize = 5;

/// Uses of tokens that are not in the database yet. A token is used with each request of a script, and is written down now and then.
#[derive(Debug, Default)]
pub struct Uses(Mutex<HashMap<ApiTokenId, (Timestamp, String)>>);

impl Uses {
    fn map(&self) -> MutexGuard<'_, HashMap<ApiTokenId, (Timestamp, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    /// How it begins; none for one that was made before this was kept.
    pub prefix: Option<String>,
    /// When it was last used; none for never.
    pub last_used_at: Option<Timestamp>,
    /// From which address.
    pub last_used_from: Option<String>,
}

/// A token to be.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// Its identity. A form that is sent twice sends the same.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// After how many days it ends; none for a token that does not end.
    pub days: Option<u32>,
}

/// All tokens that were not revoked, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services) -> Result<Vec<ApiTokenView>, ActError> {
    let all = s.db.read(|conn| Ok::<_, ActError>(tokens::list(conn)?)).await?;
    let uses = s.token_uses.map();
    let view = |t: tokens::ApiTokenRecord| {
        let tokens::ApiTokenRecord { id, name, role, created_by, created_at, expires_at, prefix, used, token_hash: _ } =
            t;
        // Another server on the same database may have seen a later use.
        let (last_used_at, last_used_from) = uses.get(&id).cloned().max(used).unzip();
        ApiTokenView { id, name, role, created_by, created_at, expires_at, prefix, last_used_at, last_used_from }
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

/// Makes an API token. It ends after so many days, or never. None if it was made already: a token is shown once.
///
/// # Errors
/// When the name or the number of days is not valid.
pub async fn add(
    s: &Services,
    actor: &Actor,
    NewApiToken { id, name, role, days }: NewApiToken,
) -> Result<Option<PlainToken>, ActError> {
    if let Some(wrong) = check_name(&name, "/name") {
        return Err(ActError::Invalid(vec![wrong]));
    }
    if days.is_some_and(|days| !(1..=LONGEST).contains(&days)) {
        return Err(ActError::field(
            "/expires_in_days",
            format!("1 to {LONGEST} days; none for a token that does not end"),
        ));
    }
    let token = PlainToken::new(KIND);
    let (now, actor) = (Timestamp::now(), actor.clone());
    let record = tokens::ApiTokenRecord {
        id,
        name,
        token_hash: token.hash().as_str().to_owned(),
        role,
        created_by: actor.label(),
        created_at: now,
        expires_at: days.map(|days| now + Duration::from_secs(u64::from(days) * 24 * 3600)),
        prefix: token.reveal().get(..KIND.len() + SEEN).map(Into::into),
        used: None,
    };
    let made =
        s.db.write(move |conn| {
            tokens::insert(conn, &record)?;
            let detail = serde_json::json!({"name": record.name, "role": record.role});
            let subject = format!("api_token:{}", record.id);
            Ok::<_, ActError>(audit::record(conn, &actor, now, "api_token.add", &subject, &detail)?)
        })
        .await;
    match made {
        Err(ActError::Store(StoreError::Duplicate(_))) => Ok(None),
        made => made.map(|()| Some(token)),
    }
}

/// Who a bearer token belongs to.
///
/// # Errors
/// When the database fails.
pub async fn by_bearer(s: &Services, token: &str, address: String) -> Result<Option<Actor>, ActError> {
    let (hash, now) = (TokenHash::of(token), Timestamp::now());
    let found = s.db.read(move |conn| Ok::<_, ActError>(tokens::by_hash(conn, hash.as_str(), now)?)).await?;
    if let Some(token) = &found {
        s.token_uses.map().insert(token.id, (now, address.clone()));
    }
    Ok(found.map(|t| Actor { who: Who::ApiToken(t.id), name: t.name, role: t.role, address }))
}

/// Writes down when tokens were last used. Answers how many were.
///
/// # Errors
/// When the database fails; then they are written down the next time.
pub async fn write_back_uses(s: &Services) -> Result<usize, ActError> {
    let uses = std::mem::take(&mut *s.token_uses.map());
    let (count, kept) = (uses.len(), uses.clone());
    if count == 0 {
        return Ok(0);
    }
    let written = s.db.write(move |conn| {
        uses.iter().try_for_each(|(id, (at, from))| tokens::used(conn, *id, *at, from))?;
        Ok::<_, ActError>(count)
    });
    let written = written.await;
    if written.is_err() {
        let mut map = s.token_uses.map();
        for (id, used) in kept {
            map.entry(id).or_insert(used);
        }
    }
    written
}
