//! Who an agent's request is from. A token is verified once; until it ends the same token costs a hash.

use super::{ActError, Refusal, Services};
use crate::domain::fleet::Lifecycle;
use crate::store::hosts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::HostId;
use restic_manager_shared::jwt::{self, Refused};
use restic_manager_shared::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Tokens that may be remembered; about 100 bytes each.
const MOST: usize = 200_000;

/// Tokens that were verified, by their hash.
#[derive(Debug, Default)]
pub struct TokenCache {
    known: Mutex<HashMap<[u8; 32], (HostId, Timestamp)>>,
}

impl TokenCache {
    fn get(&self, key: &[u8; 32], now: Timestamp) -> Option<HostId> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(_, until)| *until > now).map(|(host, _)| *host)
    }

    fn put(&self, key: [u8; 32], host: HostId, until: Timestamp, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, until)| *until > now);
        }
        if known.len() < MOST {
            known.insert(key, (host, until));
        }
    }

    /// Drops what is remembered of a host: its key no longer counts.
    pub fn forget(&self, host: HostId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, (h, _)| *h != host);
    }
}

/// The host that signed the token.
///
/// # Errors
/// `AgentUnknown`, or `ClockSkew` with our time.
pub async fn authenticate(s: &Services, token: &str) -> Result<HostId, ActError> {
    let now = Timestamp::now();
    let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    if let Some(host) = s.agent_tokens.get(&key, now) {
        return Ok(host);
    }
    let host = jwt::claimed_host(token).ok_or(Refusal::AgentUnknown)?;
    let record = s.db.read(move |conn| Ok::<_, ActError>(hosts::get(conn, host)?)).await?;
    let public = record
        .filter(|r| r.lifecycle == Lifecycle::Enrolled)
        .and_then(|r| r.signing_key)
        .and_then(|k| B64.decode(k).ok())
        .ok_or(Refusal::AgentUnknown)?;
    match jwt::verify(token, &public, host, s.identity.id, now) {
        Ok(good_for) => {
            s.agent_tokens.put(key, host, now + good_for, now);
            Ok(host)
        }
        Err(Refused::ClockSkew) => Err(Refusal::ClockSkew(now).into()),
        Err(Refused::Invalid | Refused::TooLong) => Err(Refusal::AgentUnknown.into()),
    }
}
