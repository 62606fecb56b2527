//! A backup between its hooks: one before it, which must go well, and one after it, which runs however the backup ended. Both are
//! programs of the host's own hooks folder; they are told what they are there for, and nothing that opens a repository.

use super::Work;
use super::run::stopped_before;
use crate::app::Agent;
use crate::hooks::{self, NoHook};
use crate::policy::Policy;
use crate::report::Done;
use crate::restic::env;
use crate::restic::judge::Verdict;
use crate::restic::process::{self, Exit, Launch, Output, Stop, StopReason};
use crate::restic::signal;
use crate::roster::pressed;
use restic_manager_shared::wire::job::{CauseCode, End, Offer, Task};
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::state::BackupOptions;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a hook may take if the schedule does not say.
const USUAL: Duration = Duration::from_secs(3600);
/// How long the one after a backup may take when the agent itself is being stopped.
const HURRY: Duration = Duration::from_secs(20);
/// How long the one that a cut off run still owes may hold up the agent's start.
const OWED: Duration = Duration::from_secs(300);
/// How long a hook that is stopped may clean up.
const GRACE: Duration = Duration::from_secs(10);
/// Lines of a hook that failed, to be told with it.
const LAST_WORDS: usize = 20;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Before,
    /// With how the backup ended, and the snapshot that it made.
    After,
}

impl When {
    const fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// A hook did not do its work.
enum Trouble {
    Stopped(StopReason),
    Failed(String),
}

/// A hook to run.
struct Call<'a> {
    when: When,
    name: &'a str,
    program: PathBuf,
    limit: Duration,
    /// More variables: what came of the backup.
    told: Vec<(&'static str, String)>,
}

impl Work<'_> {
    /// Runs the backup with its hooks around it. A dry run has none: they may change what they touch.
    pub(super) async fn between_hooks(
        &self,
        options: &BackupOptions,
        dry_run: bool,
        backup: impl Future<Output = Done>,
    ) -> Done {
        let found = match (!dry_run).then(|| self.find_hooks(options)).transpose() {
            Ok(found) => found,
            Err(missing) => return self.failed(Verdict::failed(CauseCode::HookFailed, missing.to_string())),
        };
        let Some((before, after)) = found else {
            if options.before.is_some() || options.after.is_some() {
                self.say(LogLevel::Info, "a dry run runs no hooks");
            }
            return backup.await;
        };
        let mut done = match self.before(options, before).await {
            Ok(()) => backup.await,
            Err(verdict) => self.failed(verdict),
        };
        if let Some(program) = after {
            self.after(options, program, &mut done).await;
        }
        done
    }

    /// Both programs, before either of them runs: what cannot be undone is not begun.
    fn find_hooks(&self, options: &BackupOptions) -> Result<(Option<PathBuf>, Option<PathBuf>), NoHook> {
        let folder = hooks::folder(&self.agent.dir, &self.policy);
        let find = |name: &Option<String>| name.as_deref().map(|name| hooks::find(&folder, name)).transpose();
        Ok((find(&options.before)?, find(&options.after)?))
    }

    async fn before(&self, options: &BackupOptions, program: Option<PathBuf>) -> Result<(), Verdict> {
        let (Some(program), Some(name)) = (program, options.before.as_deref()) else { return Ok(()) };
        let call = Call { when: When::Before, name, program, limit: limit(options), told: vec![] };
        match self.call(call, self.stop.clone()).await {
            Ok(()) => Ok(()),
            Err(Trouble::Stopped(reason)) => Err(stopped_before(reason)),
            Err(Trouble::Failed(why)) => Err(Verdict::failed(
                CauseCode::HookFailed,
                format!("the hook \"{name}\" before the backup failed: {why}"),
            )),
        }
    }

    /// What was begun before the backup is ended after it, so a stop that was pressed earlier does not count here.
    async fn after(&self, options: &BackupOptions, program: PathBuf, done: &mut Done) {
        let Some(name) = options.after.as_deref() else { return };
        let earlier = *self.stop.borrow();
        let limit = if earlier == Some(StopReason::AgentStops) { HURRY } else { limit(options) };
        let mut told = vec![("RESTIC_MANAGER_RESULT", end_word(done.verdict.end).to_owned())];
        told.extend(done.snapshots.first().map(|s| ("RESTIC_MANAGER_SNAPSHOT", s.id.clone())));
        let call = Call { when: When::After, name, program, limit, told };
        let (_unpressed, never) = watch::channel(None);
        let stop = if earlier.is_some() { never } else { self.stop.clone() };
        let why = match self.call(call, stop).await {
            Ok(()) => return,
            Err(Trouble::Stopped(_)) => "it was stopped".to_owned(),
            Err(Trouble::Failed(why)) => why,
        };
        let message = format!("the hook \"{name}\" after the backup failed: {why}");
        self.say(LogLevel::Error, &message);
        if done.verdict.end == End::Succeeded {
            done.verdict = Verdict::because(End::Warning, CauseCode::HookFailed, message);
        }
    }

    async fn call(&self, call: Call<'_>, stop: Stop) -> Result<(), Trouble> {
        self.say(LogLevel::Info, &format!("hook {}: {}", call.when.word(), call.name));
        let name = call.name.to_owned();
        let heard = |level, line: &str| self.say(level, &format!("{name}: {line}"));
        let (agent, job) = (self.agent, self.offer.id);
        let born = |pid| {
            if let Err(e) = agent.journal.child(job, pid, signal::birth(pid).as_deref()) {
                tracing::warn!(%job, error = %e, "cannot note the process in the journal");
            }
        };
        run(agent, self.offer, call, stop, heard, born).await
    }
}

/// Runs what a backup that was cut off still owes: the hook after it. Its words go to the agent's own log.
pub(crate) async fn make_up(agent: &Agent, offer: &Offer) {
    let Task::Backup { backup, dry_run: false, .. } = &offer.task else { return };
    let (Some(name), Ok(policy)) = (backup.options.after.as_deref(), Policy::load(&agent.dir)) else { return };
    let program = match hooks::find(&hooks::folder(&agent.dir, &policy), name) {
        Ok(program) => program,
        Err(e) => return tracing::warn!(job = %offer.id, error = %e, "the hook after the backup cannot be run"),
    };
    let told = vec![("RESTIC_MANAGER_RESULT", end_word(End::Failed).to_owned())];
    let call = Call { when: When::After, name, program, limit: limit(&backup.options).min(OWED), told };
    let (_unpressed, never) = watch::channel(None);
    let heard = |_, line: &str| tracing::info!(job = %offer.id, "{name}: {line}");
    if let Err(Trouble::Failed(why)) = run(agent, offer, call, never, heard, |_| {}).await {
        tracing::warn!(job = %offer.id, "the hook \"{name}\" after the backup failed: {why}");
    }
}

fn limit(options: &BackupOptions) -> Duration {
    options.hook_limit_minutes.map_or(USUAL, |minutes| Duration::from_secs(u64::from(minutes) * 60))
}

const fn end_word(end: End) -> &'static str {
    match end {
        End::Succeeded => "succeeded",
        End::Warning => "warning",
        End::Failed => "failed",
        End::Cancelled => "cancelled",
    }
}

fn launch(agent: &Agent, offer: &Offer, call: &Call<'_>) -> Launch {
    // Neither the variables nor the folder of the job: both open the repository.
    let mut vars = env::plain(&agent.dir, &agent.surroundings);
    let schedule = offer.schedule_id.map(|id| ("RESTIC_MANAGER_SCHEDULE", id.to_string()));
    let always = [("RESTIC_MANAGER_HOOK", call.when.word().to_owned()), ("RESTIC_MANAGER_JOB", offer.id.to_string())];
    for (name, value) in always.into_iter().chain(schedule).chain(call.told.iter().cloned()) {
        vars.insert(name.into(), value.into());
    }
    Launch { program: call.program.clone(), args: vec![], vars, dir: agent.dir.tmp(), feeder: None, output: None }
}

/// What a hook says: passed on, and the last of it kept.
struct Words<F> {
    heard: F,
    last: VecDeque<String>,
}

impl<F: Fn(LogLevel, &str)> Words<F> {
    fn hear(&mut self, output: Output) {
        let (level, line) = match output {
            Output::Out(line) | Output::Element(line) => (LogLevel::Info, line),
            Output::Err(line) => (LogLevel::Warning, line),
            Output::Begin => return,
        };
        (self.heard)(level, &line);
        if self.last.len() == LAST_WORDS {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

async fn run(
    agent: &Agent,
    offer: &Offer,
    call: Call<'_>,
    mut stop: Stop,
    heard: impl Fn(LogLevel, &str),
    born: impl FnOnce(u32),
) -> Result<(), Trouble> {
    if let Some(reason) = *stop.borrow() {
        return Err(Trouble::Stopped(reason));
    }
    let (lines, mut coming) = mpsc::channel(256);
    let (press, pressed_here) = watch::channel(None);
    let ending = process::run(launch(agent, offer, &call), lines, pressed_here, GRACE, born);
    let too_late = tokio::time::sleep(call.limit);
    tokio::pin!(ending, too_late);
    let mut words = Words { heard, last: VecDeque::with_capacity(LAST_WORDS) };
    let mut stopped = None;
    let ended = loop {
        tokio::select! {
            ended = &mut ending => break ended,
            Some(output) = coming.recv() => words.hear(output),
            reason = pressed(&mut stop), if stopped.is_none() => {
                stopped = Some(Trouble::Stopped(reason));
                press.send_replace(Some(reason));
            }
            () = &mut too_late, if stopped.is_none() => {
                stopped = Some(Trouble::Failed(format!("it took longer than {} minutes", call.limit.as_secs() / 60)));
                press.send_replace(Some(StopReason::Cancelled));
            }
        }
    };
    while let Ok(output) = coming.try_recv() {
        words.hear(output);
    }
    let ended = ended.map_err(|e| Trouble::Failed(format!("it cannot be run: {e}")))?;
    match (stopped, ended.exit) {
        (None, Exit::Code(0)) => Ok(()),
        (Some(trouble), _) => Err(trouble),
        (None, exit) => Err(Trouble::Failed(said(exit, &words.last))),
    }
}

/// How it ended, and its last words.
fn said(exit: Exit, last: &VecDeque<String>) -> String {
    let how = match exit {
        Exit::Code(status) => format!("exit status {status}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
    };
    last.iter().fold(how, |text, line| text + "\n" + line)
}
