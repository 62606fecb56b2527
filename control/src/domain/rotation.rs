//! Changing a repository's password with no gap: add a key for the new one, give it to every host, see that it works, and only then take the
//! old key away. Each step is decided from what is known, so a restart anywhere goes on where it was.

use super::text_enum;
use restic_manager_shared::id::JobId;
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
    /// The job of this step.
    pub job: Option<JobId>,
    /// The key of the old password, once it is known.
    pub old_key: Option<String>,
    /// The key of the new password, once it is there.
    pub new_key: Option<String>,
    /// What is in the way, for people.
    pub trouble: Option<String>,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: a job runs, or hosts have not heard yet.
    Wait,
    /// Every host has the new password: try it.
    Verify,
    /// Remove the old key.
    RemoveOld,
    /// No host can remove the old key.
    LeaveOld,
    /// It is done.
    Done,
    /// The step failed.
    Stop(String),
}

/// How the job of a step ended; none while it is open.
pub type StepEnd = Option<Result<(), String>>;

/// Decides the next step from the stage, the end of its job, whether all hosts hold the newest state, and whether some host may remove keys.
#[must_use]
pub fn next(rotation: &Rotation, job: StepEnd, all_hold: bool, can_remove: bool) -> Next {
    match (rotation.stage, job) {
        (Stage::OldKeyStays | Stage::Stuck, _) => Next::Wait,
        (_, Some(Err(why))) => Next::Stop(why),
        (Stage::Adding, _) => Next::Wait,
        (Stage::Pushing, _) => {
            if all_hold {
                Next::Verify
            } else {
                Next::Wait
            }
        }
        (Stage::Verifying, Some(Ok(()))) if can_remove && rotation.old_key.is_some() => Next::RemoveOld,
        (Stage::Verifying, Some(Ok(()))) => Next::LeaveOld,
        (Stage::Removing, Some(Ok(()))) => Next::Done,
        (Stage::Verifying | Stage::Removing, None) => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_key_goes_only_when_all_have_the_new_one_and_it_works() {
        let at = |stage| Rotation {
            stage,
            since: Timestamp::from_seconds(0),
            job: None,
            old_key: Some("a".into()),
            new_key: Some("b".into()),
            trouble: None,
        };
        let (done, failed) = (Some(Ok(())), Some(Err("no".to_owned())));
        for (stage, job, all_hold, can_remove, want) in [
            (Stage::Adding, None, true, true, Next::Wait),
            (Stage::Adding, failed.clone(), true, true, Next::Stop("no".into())),
            (Stage::Pushing, done.clone(), false, true, Next::Wait),
            (Stage::Pushing, done.clone(), true, true, Next::Verify),
            (Stage::Verifying, None, true, true, Next::Wait),
            (Stage::Verifying, failed.clone(), true, true, Next::Stop("no".into())),
            (Stage::Verifying, done.clone(), true, true, Next::RemoveOld),
            (Stage::Verifying, done.clone(), true, false, Next::LeaveOld),
            (Stage::Removing, done, true, true, Next::Done),
            (Stage::Removing, failed, true, true, Next::Stop("no".into())),
            (Stage::Stuck, None, true, true, Next::Wait),
        ] {
            assert_eq!(next(&at(stage), job.clone(), all_hold, can_remove), want, "{stage} {job:?}");
        }
    }
}
