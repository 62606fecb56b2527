//! Acts on many hosts at once over the API.

use super::Errors;
use super::hosts::HostFilter;
use crate::domain::host_action::{Effect, HostAct};
use crate::http::guard::{Guarded, Operator};
use crate::http::params::{IdempotencyKey, Input};
use crate::http::problem::ApiError;
use crate::service::host_actions::{self, HostOutcome, Target};
use crate::service::{ActError, Services};
use actix_web::{post, web};
use restic_manager_shared::id::HostId;
use serde::{Deserialize, Serialize};

/// What is to be done to which hosts.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostActionInput {
    /// What is done to each.
    pub action: HostAct,
    /// These hosts; give either them or a filter.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub host_ids: Option<Vec<HostId>>,
    /// All hosts that the list of hosts holds, narrowed like this. Empty means all there are.
    #[serde(default)]
    pub filter: Option<HostFilter>,
    /// Only says what each host would do.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of each host.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostActionAnswer {
    /// Hosts where it was done, or would be.
    pub done: usize,
    /// Hosts where it was so already.
    pub unchanged: usize,
    /// Hosts where a rule says no.
    pub refused: usize,
    /// Each host.
    pub items: Vec<HostOutcome>,
}

impl HostActionAnswer {
    fn of(items: Vec<HostOutcome>) -> Self {
        let count = |effect| items.iter().filter(|o| o.effect == effect).count();
        Self { done: count(Effect::Done), unchanged: count(Effect::Unchanged), refused: count(Effect::Refused), items }
    }
}

/// Act on many hosts
///
/// Runs, tags, pauses or resumes up to 10,000 hosts, or has them update their agents, and answers for each what became of it. Each host keeps
/// its own rules: Run now takes the schedule that Run now on that host alone would take, or says why not. Updating agents takes an
/// administrator, and a roll-out that runs: hosts are offered its release now, whatever stage they are in. Done in parts: if it is cut off, the
/// same request with the same Idempotency-Key does the rest.
#[utoipa::path(operation_id = "actOnHosts", tag = "hosts", params(("Idempotency-Key" = Option<String>, Header)), request_body = HostActionInput, responses((status = 200, body = HostActionAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/host-actions")]
pub async fn act_on_hosts(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    key: IdempotencyKey,
    input: Input<HostActionInput>,
) -> Result<web::Json<HostActionAnswer>, ApiError> {
    let HostActionInput { action, host_ids, filter, dry_run } = input.read()?;
    let target = match (host_ids, filter) {
        (Some(ids), None) => Target::Hosts(ids),
        (None, Some(filter)) => Target::All(filter.read()?),
        (Some(_), Some(_)) | (None, None) => {
            return Err(ActError::field("/host_ids", "give either host_ids or filter").into());
        }
    };
    let items = if dry_run {
        host_actions::preview(&s, &who.actor, action, target).await?
    } else {
        host_actions::act(&s, &who.actor, action, target, key.0).await?
    };
    Ok(web::Json(HostActionAnswer::of(items)))
}
