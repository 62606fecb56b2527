//! How far an update is, in `update.json`, on disk before each step. What a start of the program makes of it is decided by a pure function,
//! so that a `kill -9` anywhere leaves an agent that runs.

use super::program::Program;
use crate::facts;
use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::release::FailedUpdate;
use serde::{Deserialize, Serialize};

const FILE: &str = "update.json";
/// So often a new version is started without having reached the control plane; then the one before it comes back.
pub const STARTS: u32 = 3;

/// Where an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The new program is about to be put in place, or is.
    Swapping,
    /// The new program was started and has to reach the control plane.
    Proving,
    /// The program from before is about to be put back, or is.
    Reverting,
}

/// An update that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Where it is.
    pub phase: Phase,
    /// The version from before.
    pub from: String,
    /// The new one.
    pub to: String,
    /// Starts of the new version so far.
    #[serde(default)]
    pub starts: u32,
    /// The same, as counted by the version from before; the new one may not get as far as counting.
    #[serde(default)]
    pub guarded: u32,
    /// Why it is taken back.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Step {
    /// The swap is next.
    #[must_use]
    pub fn swapping(from: &str, to: &str) -> Self {
        let (from, to) = (from.to_owned(), to.to_owned());
        Self { phase: Phase::Swapping, from, to, starts: 0, guarded: 0, reason: None }
    }
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// What is under way.
    pub step: Option<Step>,
    /// What did not work.
    pub failed: Option<FailedUpdate>,
}

impl Record {
    /// Reads the file. A damaged one counts as none: the program that is there runs.
    #[must_use]
    pub fn load(dir: &StateDir) -> Self {
        let bytes = dir.read(FILE).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Writes the file, through to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &StateDir) -> Result<(), StateError> {
        let json = serde_json::to_vec(self)
            .map_err(|e| StateError::Corrupt { path: dir.file(FILE), reason: e.to_string() })?;
        dir.replace(FILE, &json)
    }

    /// Whether a new version has yet to reach the control plane.
    #[must_use]
    pub fn is_proving(&self) -> bool {
        self.step.as_ref().is_some_and(|step| step.phase == Phase::Proving)
    }
}

/// What a start of the program is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// One like any other.
    Ordinary,
    /// The swap was never done, or somebody put another version there by hand: nothing is under way any more.
    Over,
    /// One more start of the new version.
    Prove(Step),
    /// The version from before is to be put back, for this reason.
    Revert(String),
    /// It was put back, for this reason.
    Reverted(String),
}

/// What a start of `version` means when `step` is under way.
#[must_use]
pub fn at_start(step: Option<&Step>, version: &str) -> Start {
    let Some(step) = step else { return Start::Ordinary };
    let (is_new, is_old) = (version == step.to, version == step.from);
    let reason = || step.reason.clone().unwrap_or_else(|| "it was taken back".to_owned());
    match step.phase {
        Phase::Swapping | Phase::Proving if is_new && step.starts >= STARTS => {
            Start::Revert(format!("it was started {STARTS} times and did not reach the control plane"))
        }
        Phase::Swapping | Phase::Proving if is_new => {
            Start::Prove(Step { phase: Phase::Proving, starts: step.starts + 1, ..step.clone() })
        }
        Phase::Reverting if is_new => Start::Revert(reason()),
        Phase::Reverting if is_old => Start::Reverted(reason()),
        Phase::Swapping | Phase::Proving | Phase::Reverting => Start::Over,
    }
}

/// What the program does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// It goes on.
    Go,
    /// Another program was put in its place: that one is to run.
    Restart,
}

/// The first act of each start: goes on with an update that was under way. Nothing here keeps the program from running.
#[must_use]
pub fn boot(dir: &StateDir, program: &Program, now: Timestamp) -> Boot {
    // Somebody else's start: that agent counts its own.
    let Ok(_lock) = dir.lock() else { return Boot::Go };
    let record = Record::load(dir);
    let next = match at_start(record.step.as_ref(), facts::version()) {
        Start::Ordinary => return Boot::Go,
        Start::Over => Record { step: None, failed: record.failed },
        Start::Prove(step) => Record { step: Some(step), failed: None },
        Start::Revert(reason) => return revert(dir, program, record, reason, now),
        Start::Reverted(reason) => Record { step: None, failed: failure(&record, reason, now) },
    };
    if let Err(e) = next.save(dir) {
        eprintln!("restic-manager-agent: cannot write down how far an update is: {e}");
    }
    Boot::Go
}

fn failure(record: &Record, error: String, at: Timestamp) -> Option<FailedUpdate> {
    let version = record.step.as_ref().map(|step| step.to.clone())?;
    Some(FailedUpdate { version, error, at })
}

/// Puts the version from before back. If that cannot be done the new one goes on: better than none.
pub(super) fn revert(dir: &StateDir, program: &Program, record: Record, reason: String, now: Timestamp) -> Boot {
    let reverting = Record {
        step: record.step.clone().map(|s| Step { phase: Phase::Reverting, reason: Some(reason.clone()), ..s }),
        failed: None,
    };
    let done =
        reverting.save(dir).map_err(|e| e.to_string()).and_then(|()| program.put_back().map_err(|e| e.to_string()));
    let Err(e) = done else { return Boot::Restart };
    eprintln!("restic-manager-agent: the version from before cannot be put back: {e}");
    let error = format!("{reason}; the version from before cannot be put back: {e}");
    let given_up = Record { step: None, failed: failure(&record, error, now) };
    if let Err(e) = given_up.save(dir) {
        eprintln!("restic-manager-agent: cannot write down how far an update is: {e}");
    }
    Boot::Go
}

/// Run by the version from before, ahead of each start: counts the starts of a new version that may not live long enough to count them itself,
/// and takes its place again after too many.
///
/// # Errors
/// When the disk refuses.
pub fn guard(dir: &StateDir, program: &Program, now: Timestamp) -> Result<Boot, StateError> {
    let Ok(_lock) = dir.lock() else { return Ok(Boot::Go) };
    let mut record = Record::load(dir);
    let Some(step) = record.step.as_mut().filter(|s| s.phase != Phase::Reverting) else { return Ok(Boot::Go) };
    if step.guarded >= STARTS {
        let reason = format!("it was started {STARTS} times and did not reach the control plane");
        return Ok(revert(dir, program, record, reason, now));
    }
    step.guarded += 1;
    record.save(dir)?;
    Ok(Boot::Go)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(phase: Phase, starts: u32) -> Step {
        Step {
            phase,
            starts,
            reason: (phase == Phase::Reverting).then(|| "why".to_owned()),
            ..Step::swapping("1.0.0", "2.0.0")
        }
    }

    #[test]
    fn each_start_has_one_meaning() {
        use Phase::{Proving, Reverting, Swapping};
        let proved = |starts| Start::Prove(step(Proving, starts));
        let tired = || Start::Revert("it was started 3 times and did not reach the control plane".into());
        for (held, version, want) in [
            (None, "1.0.0", Start::Ordinary),
            (Some(step(Swapping, 0)), "1.0.0", Start::Over),
            (Some(step(Swapping, 0)), "2.0.0", proved(1)),
            (Some(step(Proving, 1)), "2.0.0", proved(2)),
            (Some(step(Proving, 2)), "2.0.0", proved(3)),
            (Some(step(Proving, 3)), "2.0.0", tired()),
            (Some(step(Proving, 1)), "1.0.0", Start::Over),
            (Some(step(Proving, 1)), "3.0.0", Start::Over),
            (Some(step(Reverting, 3)), "2.0.0", Start::Revert("why".into())),
            (Some(step(Reverting, 3)), "1.0.0", Start::Reverted("why".into())),
            (Some(step(Reverting, 3)), "3.0.0", Start::Over),
        ] {
            assert_eq!(at_start(held.as_ref(), version), want, "{held:?} {version}");
        }
    }

    /// What the program of a version is: its own text.
    fn folder() -> (tempfile::TempDir, StateDir, Program) {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(&tmp.path().join("state")).expect("opens");
        let program = Program::new(tmp.path().join("agent"));
        std::fs::write(program.exe(), "new").expect("writes");
        std::fs::write(program.previous(), "old").expect("writes");
        (tmp, dir, program)
    }

    fn content(program: &Program) -> String {
        std::fs::read_to_string(program.exe()).expect("a program is there")
    }

    #[test]
    fn the_guard_takes_its_place_again_after_three_starts() {
        let (_tmp, dir, program) = folder();
        let now = Timestamp::from_seconds(1);
        assert_eq!(guard(&dir, &program, now).expect("reads"), Boot::Go, "nothing is under way");
        Record { step: Some(step(Phase::Swapping, 0)), failed: None }.save(&dir).expect("saves");
        for start in 1..=STARTS {
            assert_eq!(guard(&dir, &program, now).expect("counts"), Boot::Go, "start {start}");
            assert_eq!(content(&program), "new");
        }
        assert_eq!(guard(&dir, &program, now).expect("counts"), Boot::Restart);
        assert_eq!(content(&program), "old");
        let held = Record::load(&dir);
        assert_eq!(held.step.as_ref().map(|s| s.phase), Some(Phase::Reverting));
        assert!(matches!(at_start(held.step.as_ref(), "1.0.0"), Start::Reverted(_)));
    }

    #[test]
    fn a_version_that_cannot_be_taken_back_goes_on() {
        let (_tmp, dir, program) = folder();
        std::fs::remove_file(program.previous()).expect("removes");
        let record = Record { step: Some(step(Phase::Proving, 3)), failed: None };
        assert_eq!(revert(&dir, &program, record, "why".into(), Timestamp::from_seconds(1)), Boot::Go);
        let held = Record::load(&dir);
        assert_eq!((content(&program).as_str(), held.step), ("new", None));
        assert!(held.failed.is_some_and(|f| f.version == "2.0.0" && f.error.starts_with("why; ")));
    }

    #[test]
    fn a_damaged_record_is_none() {
        let (_tmp, dir, program) = folder();
        dir.replace(FILE, b"{\"step\": 7").expect("writes");
        assert_eq!(Record::load(&dir), Record::default());
        assert_eq!(boot(&dir, &program, Timestamp::from_seconds(1)), Boot::Go);
    }
}
