//! Changing a repository's password with no gap: add a key for the new one, give it to every host, see that it works, and only then take the
//! old key away. Each step is decided from what is known, so a restart anywhere goes on where it was.

use super::text_enum;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    /// How far a change of password is.
    Stage {
        /// A host adds the key of the new password.
        Adding = "adding",
        /// The key is there; hosts hear of the new password.
        Pushing = "pushing",
        /// Every host holds the new password; one tries it.
        Verifying = "verifying",
        /// It works; the old key goes.
        Removing = "removing",
        /// The new password is in force, but no host may remove the old key: only a full credential can.
        OldKeyStays = "old_key_stays",
        /// The last step did not work; the repository still opens with what the hosts have.
        Stuck = "stuck",
    }
}

/// A change of password that is under way. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rotation {
    /// How far it is.
    pub stage: Stage,
    /// Since when it is there.
    pub since: Timestamp,
    /// One for each restic repository: where the address holds `{host}` each host has its own.
    pub steps: Vec<Step>,
    /// What is in the way, for people.
    pub trouble: Option<String>,
}

/// The change in one restic repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RotationStep)]
pub struct Step {
    /// Whose own repository it is, where the address holds `{host}`.
    pub of_host_id: Option<HostId>,
    /// The job of this stage.
    pub job: Option<JobId>,
    /// The key of the old password, once it is known.
    pub old_key: Option<String>,
    /// The key of the new password, once it is there.
    pub new_key: Option<String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: a job runs, or hosts have not heard yet.
    Wait,
    /// Every key is there: put the new password in force.
    Push,
    /// Every host has the new password: try it.
    Verify,
    /// Remove the old keys.
    RemoveOld,
    /// No host can remove the old keys.
    LeaveOld,
    /// It is done.
    Done,
    /// A step failed.
    Stop(String),
}

/// How the job of a step ended; none while it is open.
pub type StepEnd = Option<Result<(), String>>;

/// How a stage ended: as its first step that failed; none while one is open.
fn together(steps: &[StepEnd]) -> StepEnd {
    let failed = steps.iter().flatten().find_map(|end| end.clone().err());
    match failed {
        Some(why) => Some(Err(why)),
        None => steps.iter().all(Option::is_some).then_some(Ok(())),
    }
}

/// Decides what follows from the stage, the ends of its jobs, whether all hosts hold the newest state, and whether some host may remove keys.
#[must_use]
pub fn next(stage: Stage, ends: &[StepEnd], all_hold: bool, can_remove: bool) -> Next {
    match (stage, together(ends)) {
        (Stage::OldKeyStays | Stage::Stuck, _) => Next::Wait,
        (Stage::Pushing, _) => {
            if all_hold {
                Next::Verify
            } else {
                Next::Wait
            }
        }
        (Stage::Adding | Stage::Verifying | Stage::Removing, None) => Next::Wait,
        (Stage::Adding | Stage::Verifying | Stage::Removing, Some(Err(why))) => Next::Stop(why),
        (Stage::Adding, Some(Ok(()))) => Next::Push,
        (Stage::Verifying, Some(Ok(()))) if can_remove => Next::RemoveOld,
        (Stage::Verifying, Some(Ok(()))) => Next::LeaveOld,
        (Stage::Removing, Some(Ok(()))) => Next::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_keys_go_only_when_all_have_the_new_password_and_it_works() {
        let (open, done, failed) = (None, Some(Ok(())), Some(Err("no".to_owned())));
        let stop = || Next::Stop("no".into());
        for (stage, ends, all_hold, can_remove, want) in [
            (Stage::Adding, vec![open.clone()], true, true, Next::Wait),
            (Stage::Adding, vec![done.clone(), open.clone()], true, true, Next::Wait),
            (Stage::Adding, vec![open.clone(), failed.clone()], true, true, stop()),
            (Stage::Adding, vec![done.clone(), done.clone()], false, true, Next::Push),
            (Stage::Pushing, vec![done.clone()], false, true, Next::Wait),
            (Stage::Pushing, vec![done.clone()], true, true, Next::Verify),
            (Stage::Verifying, vec![done.clone(), open], true, true, Next::Wait),
            (Stage::Verifying, vec![failed.clone()], true, true, stop()),
            (Stage::Verifying, vec![done.clone()], true, true, Next::RemoveOld),
            (Stage::Verifying, vec![done.clone()], true, false, Next::LeaveOld),
            (Stage::Removing, vec![done], true, true, Next::Done),
            (Stage::Removing, vec![failed], true, true, stop()),
            (Stage::Stuck, vec![], true, true, Next::Wait),
        ] {
            assert_eq!(next(stage, &ends, all_hold, can_remove), want, "{stage} {ends:?}");
        }
    }
}
