//! Running restic for somebody who only looks, outside any job: no journal, no log, no lock in the repository. What the host allows is
//! asked first, as for a job.

use super::{Repository, no_restic, surroundings};
use crate::app::Agent;
use crate::policy::Policy;
use crate::redact::Redactor;
use crate::restic::argv::{self, Context, Operation};
use crate::restic::binary::Restic;
use crate::restic::env::{self, JobDir, Surroundings};
use crate::restic::gather::Gathered;
use crate::restic::judge::{self, Evidence, Verdict};
use crate::restic::output::Transcript;
use crate::restic::preflight::{self, Answer};
use crate::restic::process::{self, Ended, Exit, Launch, Output, StopReason};
use crate::state_dir::StateError;
use restic_manager_shared::wire::job::{CauseCode, Offer};
use restic_manager_shared::wire::operation::JobSecrets;
use std::future::Future;
use tokio::sync::{mpsc, watch};

/// What is needed to look.
pub(crate) struct Reading<'a> {
    agent: &'a Agent,
    repository: Repository,
    restic: Restic,
    dir: JobDir,
    around: Surroundings,
    redactor: Redactor,
}

/// Whether this host allows it.
pub(crate) fn allowed(agent: &Agent, offer: &Offer) -> Result<(), Verdict> {
    let forbids = |e: String| Verdict::failed(CauseCode::PolicyForbids, e);
    let policy = Policy::load(&agent.dir).map_err(|e| forbids(e.to_string()))?;
    policy.allow(&offer.task).map_err(|e| forbids(e.to_string()))
}

impl<'a> Reading<'a> {
    /// Opens what an offer that was never made would open.
    pub(crate) async fn open(agent: &'a Agent, offer: &Offer) -> Result<Self, Verdict> {
        allowed(agent, offer)?;
        let restic = agent.finder.find().await.map_err(|e| no_restic(&e))?;
        let disk = |e: StateError| Verdict::failed(CauseCode::AgentDisk, e.to_string());
        let (state, own) = (agent.desired.get(), JobSecrets::default());
        let missing = || Verdict::failed(CauseCode::CredentialMissing, "no repository is named");
        let id = offer.task.repository_id().ok_or_else(missing)?;
        let dir = JobDir::make(&agent.dir, offer.id).map_err(disk)?;
        let around = surroundings(agent, offer, (&state, &own), &dir).map_err(disk)?;
        let vars = env::surroundings(&agent.dir, &around);
        let repository = Repository::open(agent, offer, (&state, &own), id, &dir, &vars, &restic)?;
        let redactor = Redactor::new(repository.secrets.values());
        match preflight::ask(&repository.spec.url, &repository.secrets, &around, &repository.vars).await {
            Answer::Hopeless(code, why) => return Err(Verdict::failed(code, why)),
            Answer::Missing => {
                return Err(Verdict::failed(CauseCode::RepositoryMissing, "there is no repository at the address"));
            }
            Answer::Ready | Answer::Unknown => {}
        }
        Ok(Self { agent, repository, restic, dir, around, redactor })
    }

    /// Runs restic; lines that `take` wants it gets, the others are restic's words. Stops when `enough` is.
    pub(crate) async fn run(
        &self,
        operation: Operation<'_>,
        mut take: impl FnMut(&str) -> bool,
        enough: impl Future<Output = StopReason>,
    ) -> Result<Transcript, Verdict> {
        let context =
            Context { host: "", dir: self.dir.path(), ca: self.around.ca.as_deref(), version: self.restic.version };
        let line = argv::build(operation, context);
        let launch = Launch {
            program: self.restic.path.clone(),
            args: line.args,
            vars: self.repository.vars.clone(),
            dir: self.dir.path().to_owned(),
            feeder: None,
            output: None,
        };
        let mut transcript = Transcript::new(Gathered::of(&operation));
        let (lines, mut heard) = mpsc::channel(256);
        let (press, stop) = watch::channel(None);
        let run = process::run(launch, lines, stop, process::GRACE, |_| ());
        tokio::pin!(run, enough);
        let mut hear = |transcript: &mut Transcript, output| match output {
            Output::Out(line) if take(&line) => {}
            Output::Out(line) => drop(transcript.stdout(&line)),
            Output::Err(line) => drop(transcript.stderr(&line, self.agent.client.now())),
            Output::Begin => transcript.begin(),
            Output::Element(element) => transcript.element(&element),
        };
        let mut stopping = false;
        let ended = loop {
            tokio::select! {
                ended = &mut run => break ended,
                Some(output) = heard.recv() => hear(&mut transcript, output),
                reason = &mut enough, if !stopping => {
                    stopping = true;
                    press.send_replace(Some(reason));
                }
            }
        };
        while let Ok(output) = heard.try_recv() {
            hear(&mut transcript, output);
        }
        let ended =
            ended.map_err(|e| Verdict::failed(CauseCode::ResticUnavailable, format!("restic cannot be run: {e}")))?;
        self.judged(&operation, &transcript, ended).map(|()| transcript)
    }

    fn judged(&self, operation: &Operation<'_>, t: &Transcript, ended: Ended) -> Result<(), Verdict> {
        let mut verdict = judge::judge(&Evidence {
            version: self.restic.version,
            command: operation.command(),
            exit: ended.exit,
            stopped: ended.stopped,
            killed: ended.killed,
            result: t.result(operation.command()).unwrap_or(matches!(ended.exit, Exit::Code(0))),
            unknown_ids: t.unknown_ids(),
            missing_paths: t.missing_paths(),
            last_words: &t.last_words(),
            all_words: &t.all_words(),
        });
        if verdict.cause.is_none() {
            return Ok(());
        }
        verdict.cause.iter_mut().for_each(|c| c.message = self.redactor.clean(&c.message));
        Err(verdict)
    }
}
