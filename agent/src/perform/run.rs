//! One run of restic inside a job: its command line into being, its output heard as it comes, and the buttons that stop it.

use super::{Repository, Work};
use crate::restic::argv::{self, Context, Operation};
use crate::restic::command::Command;
use crate::restic::env::Variables;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::restic::output::{Said, Transcript};
use crate::restic::process::{self, Ended, Feeder, Launch, Output, StopReason};
use crate::restic::signal;
use crate::roster::pressed;
use restic_manager_shared::wire::job::{CauseCode, End};
use restic_manager_shared::wire::progress::{LogLevel, Phase};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A restic that has done nothing but retry for so long is stopped.
const STUCK: Duration = Duration::from_secs(60);

/// What is at the ends of restic, if not nothing and this agent.
#[derive(Default)]
pub(super) struct Pipes {
    /// A program whose output is its input.
    pub(super) feeder: Option<Feeder>,
    /// A file that takes its output.
    pub(super) output: Option<PathBuf>,
}

/// One run of restic.
pub(super) struct Run {
    pub(super) command: Command,
    pub(super) ended: Ended,
    pub(super) transcript: Transcript,
    pub(super) shown: String,
}

impl Work<'_> {
    /// Runs restic on the repository.
    pub(super) async fn run(&self, repository: &Repository, operation: Operation<'_>) -> Result<Run, Verdict> {
        self.run_in(self.dir.path(), &repository.vars, operation, Pipes::default()).await
    }

    /// Runs restic on the repository, and what it prints goes into a file that is there.
    pub(super) async fn run_to_file(
        &self,
        r: &Repository,
        operation: Operation<'_>,
        file: &Path,
    ) -> Result<Run, Verdict> {
        let pipes = Pipes { output: Some(file.to_owned()), ..Pipes::default() };
        self.run_in(self.dir.path(), &r.vars, operation, pipes).await
    }

    /// Runs restic in a folder, with these variables, and perhaps with a program or a file at its ends.
    pub(super) async fn run_in(
        &self,
        dir: &Path,
        vars: &Variables,
        operation: Operation<'_>,
        pipes: Pipes,
    ) -> Result<Run, Verdict> {
        if let Some(reason) = *self.stop.borrow() {
            return Err(stopped_before(reason));
        }
        if let Some(lack) = operation.lacks(self.restic.version) {
            return Err(Verdict::failed(CauseCode::ResticTooOld, lack.lack(self.restic.version)));
        }
        let line = argv::build(operation, self.context());
        for file in &line.files {
            let written = self.dir.write(file.name, &file.bytes);
            written.map_err(|e| Verdict::failed(CauseCode::AgentDisk, e.to_string()))?;
        }
        self.say(LogLevel::Info, &line.shown);
        line.left_out.iter().for_each(|what| self.say(LogLevel::Warning, &format!("left out: {what}")));
        let program = self.restic.path.clone();
        let (vars, dir) = (vars.clone(), dir.to_owned());
        let launch = Launch { program, args: line.args, vars, dir, feeder: pipes.feeder, output: pipes.output };
        let mut transcript = Transcript::new(Gathered::of(&operation));
        transcript.set_phase(Phase::Starting);
        transcript.set_command(self.redactor.clean(&line.shown));
        self.feed.report(transcript.progress());
        let ended = self.listen(launch, &mut transcript).await;
        let ended =
            ended.map_err(|e| Verdict::failed(CauseCode::ResticUnavailable, format!("restic cannot be run: {e}")))?;
        Ok(Run { command: operation.command(), ended, transcript, shown: line.shown })
    }

    fn context(&self) -> Context<'_> {
        Context {
            host: &self.state.host_name,
            dir: self.dir.path(),
            ca: self.around.ca.as_deref(),
            version: self.restic.version,
        }
    }

    /// Runs restic and hears it out, stopping it when somebody wants that or it is stuck.
    async fn listen(&self, launch: Launch, transcript: &mut Transcript) -> io::Result<Ended> {
        let (lines, mut heard) = mpsc::channel(256);
        let (press, stop) = watch::channel(None);
        let (agent, job, child) = (self.agent, self.offer.id, AtomicU32::new(0));
        let run = process::run(launch, lines, stop, process::GRACE, |pid| {
            child.store(pid, Ordering::Relaxed);
            self.pids.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
            if let Err(e) = agent.journal.child(job, pid, signal::birth(pid).as_deref()) {
                tracing::warn!(%job, error = %e, "cannot note the process in the journal");
            }
        });
        tokio::pin!(run);
        let mut outside = self.stop.clone();
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = &mut run => break ended,
                Some(line) = heard.recv() => self.hear(transcript, line, stopping),
                reason = pressed(&mut outside), if !stopping => {
                    stopping = true;
                    transcript.set_phase(Phase::Stopping);
                    self.feed.report(transcript.progress());
                    press.send_replace(Some(reason));
                }
                _ = tick.tick(), if !stopping => {
                    let pid = Some(child.load(Ordering::Relaxed)).filter(|pid| *pid != 0);
                    if transcript.progress().pid != pid {
                        transcript.set_pid(pid);
                        self.report(transcript);
                    }
                    if transcript.is_stuck(self.agent.client.now(), STUCK) {
                        stopping = true;
                        press.send_replace(Some(StopReason::Unreachable));
                    }
                }
            }
        };
        while let Ok(line) = heard.try_recv() {
            self.hear(transcript, line, stopping);
        }
        transcript.set_pid(None);
        self.report(transcript);
        ended
    }

    fn hear(&self, transcript: &mut Transcript, line: Output, stopping: bool) {
        let said = match line {
            Output::Out(line) => transcript.stdout(&line),
            Output::Err(line) => transcript.stderr(&line, self.agent.client.now()),
            Output::Begin => return transcript.begin(),
            Output::Element(element) => return transcript.element(&element),
        };
        if let Said::Log(level, text) = &said {
            self.say(*level, text);
        }
        if said != Said::Nothing {
            if stopping {
                transcript.set_phase(Phase::Stopping);
            }
            self.report(transcript);
        }
    }

    fn report(&self, transcript: &Transcript) {
        let mut progress = transcript.progress().clone();
        progress.current_files.iter_mut().for_each(|f| *f = self.redactor.clean(f));
        progress.step = self.redactor.clean_maybe(progress.step);
        self.feed.report(&progress);
    }
}

pub(super) fn stopped_before(reason: StopReason) -> Verdict {
    match reason {
        StopReason::Cancelled => {
            Verdict::because(End::Cancelled, CauseCode::Cancelled, "cancelled before restic started")
        }
        StopReason::AgentStops => {
            Verdict::failed(CauseCode::AgentRestarted, "the agent was stopped before restic started")
        }
        StopReason::Unreachable => Verdict::failed(CauseCode::RepositoryUnreachable, "the storage does not answer"),
        StopReason::FeederFailed => Verdict::failed(CauseCode::SourceUnreadable, "the hook failed"),
    }
}
