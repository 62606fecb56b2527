//! Backups, and the making of a repository.

use super::run::Pipes;
use super::{Repository, Work, limits, worked};
use crate::facts;
use crate::hooks;
use crate::report::Done;
use crate::restic::argv::{Backup, Operation};
use crate::restic::env;
use crate::restic::judge::Verdict;
use crate::restic::output::Transcript;
use crate::restic::process::Feeder;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::wire::job::{BackupSummary, CauseCode, End, SnapshotRecord, job_tag, schedule_tag};
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::state::BackupSpec;

impl Work<'_> {
    pub(super) async fn init(&self, repository: &Repository) -> Done {
        match self.run(repository, Operation::Init).await {
            Ok(run) => self.done(&run),
            Err(verdict) => self.failed(verdict),
        }
    }

    pub(super) async fn backup(&self, r: &Repository, spec: &BackupSpec, dry_run: bool, known_missing: bool) -> Done {
        let may_init = r.spec.init_if_missing && !dry_run;
        if known_missing {
            if !may_init {
                return self.missing();
            }
            if let Some(failed) = self.init_first(r).await {
                return failed;
            }
        }
        let done = self.backup_once(r, spec, dry_run).await;
        let is_missing = done.verdict.code() == Some(CauseCode::RepositoryMissing);
        if !is_missing || known_missing || !may_init {
            return done;
        }
        match self.init_first(r).await {
            Some(failed) => failed,
            None => self.backup_once(r, spec, dry_run).await,
        }
    }

    /// Makes the repository; gives what came of it unless it is there now.
    async fn init_first(&self, repository: &Repository) -> Option<Done> {
        self.say(LogLevel::Info, "there is no repository at the address yet: making it");
        let done = self.init(repository).await;
        let is_there = done.verdict.end == End::Succeeded || done.verdict.code() == Some(CauseCode::RepositoryExists);
        (!is_there).then_some(done)
    }

    async fn backup_once(&self, r: &Repository, spec: &BackupSpec, dry_run: bool) -> Done {
        let tags: Vec<String> =
            self.offer.schedule_id.map(schedule_tag).into_iter().chain([job_tag(self.offer.id)]).collect();
        let hook = match self.hook(spec) {
            Ok(hook) => hook,
            Err(verdict) => return self.failed(verdict),
        };
        let limits = limits::now(&spec.options, self.agent.client.now(), &self.zone());
        let operation = Operation::Backup(Backup { spec, tags: &tags, dry_run, limits });
        let run =
            match self.run_in(self.dir.path(), &r.vars, operation, Pipes { feeder: hook, ..Pipes::default() }).await {
                Ok(run) => run,
                Err(verdict) => return self.failed(verdict),
            };
        let mut done = self.done(&run);
        done.summary = run.transcript.summary().map(BackupSummary::from);
        if worked(&done) && !dry_run {
            done.snapshots = self.made(r, spec, &tags, &run.transcript, done.summary.as_mut()).await;
            done.snapshots.iter().for_each(|s| self.say(LogLevel::Info, &format!("made snapshot {}", s.id)));
        }
        done
    }

    /// The program whose output is backed up, if the schedule names one.
    fn hook(&self, spec: &BackupSpec) -> Result<Option<Feeder>, Verdict> {
        let Some(source) = &spec.options.stdin else { return Ok(None) };
        let folder = hooks::folder(&self.agent.dir, &self.policy);
        let found = hooks::find(&folder, &source.hook);
        let program = found.map_err(|e| Verdict::failed(CauseCode::SourceMissing, e.to_string()))?;
        // Neither the variables nor the folder of the job: both open the repository.
        let vars = env::plain(&self.agent.dir, &self.around);
        Ok(Some(Feeder { program, vars, dir: self.agent.dir.tmp() }))
    }

    /// The schedule's zone, or the host's own.
    fn zone(&self) -> String {
        let schedule = self.state.schedules.iter().find(|s| Some(s.id) == self.offer.schedule_id);
        schedule.and_then(|s| s.timezone.clone()).unwrap_or_else(facts::zone)
    }

    /// The snapshot that a backup made. Old versions say only the beginning of its id, and have to be asked again.
    async fn made(
        &self,
        repository: &Repository,
        spec: &BackupSpec,
        tags: &[String],
        transcript: &Transcript,
        summary: Option<&mut BackupSummary>,
    ) -> Vec<SnapshotRecord> {
        let Some(summary) = summary else { return Vec::new() };
        let Some(id) = summary.snapshot_id.clone() else { return Vec::new() };
        if is_whole_id(&id) {
            return vec![self.record(id, spec, tags, transcript, summary)];
        }
        summary.snapshot_id = None;
        let mut found = self.list(repository, std::slice::from_ref(&id), false).await.1.unwrap_or_default();
        found.retain(|s| s.id.starts_with(&id));
        found.truncate(1);
        for record in &mut found {
            summary.snapshot_id = Some(record.id.clone());
            record.summary = Some(summary.clone());
        }
        found
    }

    fn record(
        &self,
        id: String,
        spec: &BackupSpec,
        tags: &[String],
        transcript: &Transcript,
        summary: &BackupSummary,
    ) -> SnapshotRecord {
        let gone =
            |path: &String| transcript.items().0.iter().any(|i| i.item == *path && i.message == "does not exist");
        let split = spec.tags.iter().chain(tags).flat_map(|t| t.split(',')).map(str::to_owned);
        let paths = match &spec.options.stdin {
            Some(source) => vec![format!("/{}", source.filename.trim_start_matches('/'))],
            None => spec.paths.iter().filter(|p| !gone(p)).map(|p| tidy_path(p)).collect(),
        };
        SnapshotRecord {
            id,
            time: transcript.summary().and_then(|s| s.started()).unwrap_or_else(|| self.agent.client.now()),
            hostname: self.state.host_name.clone(),
            username: None,
            paths,
            tags: split.filter(|t| !t.is_empty()).collect(),
            parent: None,
            summary: Some(summary.clone()),
        }
    }
}

/// As restic writes it into the snapshot: without a slash at the end.
fn tidy_path(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() { "/".to_owned() } else { short.to_owned() }
}
