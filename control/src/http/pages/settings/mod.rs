//! Settings: what holds in general, users, API tokens, the audit log, releases of the agent. For administrators.

pub mod audit;
pub mod general;
pub mod releases;
pub mod rollout;
pub mod subject;
pub mod tokens;
mod upload;
pub mod users;

use crate::domain::permission::Role;
use serde::Serialize;

/// A role to choose, and what it may do.
#[derive(Clone, Debug, Serialize)]
pub struct RoleChoice {
    /// Its word.
    pub word: &'static str,
    /// What it may do.
    pub may: &'static str,
}

/// The roles, the weakest first.
#[must_use]
pub fn roles() -> Vec<RoleChoice> {
    let choice = |role: Role| RoleChoice { word: role.as_str(), may: crate::words::state::may(role) };
    vec![choice(Role::Viewer), choice(Role::Operator), choice(Role::Admin)]
}
