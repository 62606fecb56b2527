//! `/api/v1`: everything that a page can do, for scripts. Lists answer `{"items": [...], "next": cursor or null}`.

pub mod admin;
pub mod alerts;
pub mod audit;
pub mod changes;
pub mod channels;
pub mod drills;
pub mod enrollment;
pub mod files;
pub mod fleet;
pub mod host_actions;
pub mod hosts;
pub mod jobs;
pub mod pauses;
pub mod recovery;
pub mod releases;
pub mod repositories;
pub mod schedules;
pub mod search;
pub mod snapshots;
pub mod upkeep;

use super::problem::Errors;
