//! The agent put together: the one place that builds everything, starts it, and stops it in order.

use crate::client::{Client, ClientError, setup};
use crate::config::{Config, Inherited};
use crate::desired::Desired;
use crate::finds::Finds;
use crate::fires::Fires;
use crate::identity::Identity;
use crate::journal::{Journal, JournalError};
use crate::place::Places;
use crate::queries::Queries;
use crate::restic::binary::Finder;
use crate::restic::env::Surroundings;
use crate::restic::process::{GRACE, StopReason};
use crate::roster::Roster;
use crate::spool::Spool;
use crate::state_dir::{StateDir, StateError, StateLock};
use crate::status::Status;
use crate::tree::cache::Trees;
use crate::update::{Updates, work};
use crate::{bundle, poll, recover, scheduler, spool};
use restic_manager_shared::id::{InstanceId, JobId};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

/// How long ends are still being sent when the agent stops; what does not get through waits for the next start.
const FAREWELL: Duration = Duration::from_secs(5);

/// The agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something about the state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// Something about the journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Something about the settings.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no identity.
    #[error("this host is not enrolled; run `restic-manager-agent enroll` first")]
    NotEnrolled,
}

/// All parts of a running agent.
#[derive(Debug)]
pub struct Agent {
    /// The state folder.
    pub dir: StateDir,
    /// Who this is.
    pub identity: Arc<Identity>,
    /// The way to the control plane.
    pub client: Client,
    /// What was promised.
    pub journal: Journal,
    /// Where restic is.
    pub finder: Finder,
    /// What restic needs to know of the world.
    pub surroundings: Surroundings,
    /// What should be.
    pub desired: Desired,
    /// Which jobs there are.
    pub roster: Roster,
    /// Ended jobs that wait on disk.
    pub spool: Spool,
    /// Which schedules are followed, and how far.
    pub fires: Fires,
    /// What is in snapshots that were looked at.
    pub trees: Trees,
    /// Questions that are not answered yet.
    pub queries: Queries,
    /// Files that restic looks for.
    pub finds: Finds,
    /// The agent's own updates.
    pub updates: Updates,
    /// Where restores write now.
    pub places: Places,
    /// Told when the control plane answers after it was away: those who wait try at once.
    pub contact: Notify,
    /// This start of the agent.
    pub instance: InstanceId,
    status: Mutex<Status>,
    _lock: StateLock,
}

impl Agent {
    /// Builds the agent from its state folder. `exe` is this very program, so that an update can take its place.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn build(
        dir: StateDir,
        config: &Config,
        inherited: Inherited,
        restic: Option<PathBuf>,
        exe: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        let lock = dir.lock()?;
        let identity = Arc::new(Identity::load(&dir)?.ok_or(StartError::NotEnrolled)?);
        let http = setup::control_client(config.proxy.as_deref(), config.ca_file.as_deref())?;
        let ca = config.ca_file.as_deref().map(|file| bundle::with_system(&dir, file)).transpose()?;
        dir.sweep_jobs();
        Ok(Self {
            client: Client::new(http, &config.server, Arc::clone(&identity)),
            journal: Journal::open(&dir)?,
            finder: Finder::new(restic.or_else(|| config.restic.clone()), inherited.clone()),
            surroundings: Surroundings { inherited, proxy: config.proxy.clone(), ca },
            desired: Desired::load(&dir, &identity.host_name),
            roster: Roster::new(config.max_jobs),
            spool: Spool::default(),
            fires: Fires::default(),
            places: Places::default(),
            updates: Updates::open(&dir, exe, Duration::from_secs(config.prove_seconds.max(1))),
            trees: Trees::open(dir.file("trees"))?,
            queries: Queries::default(),
            finds: Finds::default(),
            contact: Notify::new(),
            instance: InstanceId::new(),
            status: Mutex::default(),
            dir,
            identity,
            _lock: lock,
        })
    }

    /// A job has ended and waits in the journal: it is told in its turn.
    pub fn spool(&self, job: JobId) {
        let place = self.journal.place(job).unwrap_or_else(|e| {
            tracing::error!(%job, error = %e, "the journal cannot be read; the job is told out of turn");
            None
        });
        self.spool.add(job, place.unwrap_or(i64::MAX));
    }

    /// The control plane answered, or did not.
    pub fn heard(&self, error: Option<String>) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.error.is_some() && error.is_none() {
            self.contact.notify_waiters();
        }
        let now = self.client.now();
        if status.note(now, error, self.finder.last_version())
            && let Err(e) = status.save(&self.dir)
        {
            tracing::debug!(error = %e, "cannot write the status file");
        }
    }
}

/// Why the agent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Stopped,
    /// Another version is in its place and is to run.
    Replaced,
}

/// Runs until `stop` says so or another version is in place, then stops what runs, softly, and sends what can be sent.
///
/// # Errors
/// When the journal cannot be read at the start.
pub async fn run(agent: Arc<Agent>, stop: watch::Receiver<bool>) -> Result<Ending, StartError> {
    match agent.finder.find().await {
        Ok(restic) => tracing::info!(version = %restic.version, path = %restic.path.display(), "restic found"),
        Err(e) => tracing::error!(error = %e, "jobs will fail until there is a restic"),
    }
    tracing::info!(host_id = %agent.identity.host_id, version = crate::facts::version(), "agent running");
    recover::recover(&agent).await?;
    let (halt, halted) = watch::channel(false);
    let (_, ending, ..) = tokio::join!(
        pass_on(stop, &halt),
        async {
            let replaced = work::run(&agent, halted.clone()).await;
            halt.send_replace(true);
            if replaced { Ending::Replaced } else { Ending::Stopped }
        },
        poll::run(&agent, halted.clone()),
        scheduler::run(&agent, halted.clone()),
        spool::run(&agent, halted.clone()),
    );
    tracing::info!(running = agent.roster.running(), "agent stopping");
    agent.roster.stop_all(StopReason::AgentStops);
    settle(GRACE + FAREWELL, || agent.roster.running() == 0).await;
    agent.contact.notify_waiters();
    settle(FAREWELL, || agent.roster.is_empty()).await;
    tracing::info!(waiting = agent.journal.waiting().unwrap_or(0), "agent stopped");
    Ok(ending)
}

/// Tells all parts to stop when the agent is told to; ends also when they were told for another reason.
async fn pass_on(mut stop: watch::Receiver<bool>, halt: &watch::Sender<bool>) {
    let mut halted = halt.subscribe();
    tokio::select! {
        _ = stop.wait_for(|s| *s) => drop(halt.send_replace(true)),
        _ = halted.wait_for(|s| *s) => {}
    }
}

async fn settle(patience: Duration, is_settled: impl Fn() -> bool) {
    let end = Instant::now() + patience;
    while !is_settled() && Instant::now() < end {
        sleep(Duration::from_millis(50)).await;
    }
}
