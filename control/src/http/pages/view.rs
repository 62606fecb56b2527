//! What pages are made of: the shell around them, and hosts, jobs and snapshots as rows. Only text and figures to show; no rule is
//! decided here.

use super::freeze::Frozen;
use super::pause::PausedWords;
use crate::domain::fleet::{Host, HostState};
use crate::domain::job::{Job, JobKind, JobState};
use crate::domain::pause::Paused;
use crate::domain::permission::{Actor, Role};
use crate::domain::protection::Protection;
use crate::service::navigation::Counts;
use crate::words::Moment;
pub use crate::words::job::asked_by;
use crate::words::{release, state};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::pause::Pause;
use restic_manager_shared::wire::release::UpdatePhase;
use serde::Serialize;

/// What stands around every page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Shell {
    /// `light`, `dark`, or empty for the system's choice.
    pub theme: String,
    /// Whether single keys do nothing.
    pub keys_off: bool,
    /// The server's version.
    pub version: &'static str,
    /// The zone that times are shown in.
    pub zone: &'static str,
    /// Where the page is, to come back to.
    pub path: String,
    /// The tag of hosts that this page is narrowed to, as the end of an address; the lists that know it keep it.
    pub tag: String,
    /// Who is signed in.
    pub user: Option<User>,
    /// What forms carry.
    pub csrf: String,
    /// What stands beside the names in the navigation.
    pub counts: Counts,
    /// What was just done, told once.
    pub said: &'static str,
    /// Why a press of Run now was not taken, told once.
    pub refused: &'static str,
    /// That nothing can be kept, if that is so.
    pub trouble: Option<TroubleWords>,
}

/// That the server cannot write to its database.
#[derive(Clone, Debug, Serialize)]
pub struct TroubleWords {
    /// Since when.
    pub since: Moment,
    /// What the database said, for who can do something about it.
    pub why: Option<String>,
}

/// Who is signed in, and which buttons they see.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    /// Their name.
    pub name: String,
    /// The first letters of it.
    pub initials: String,
    /// Their role's word.
    pub role: &'static str,
    /// May run, edit schedules, add hosts.
    pub operator: bool,
    /// May do everything.
    pub admin: bool,
}

impl User {
    /// How an actor is shown.
    #[must_use]
    pub fn new(actor: &Actor) -> Self {
        let words = actor.name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        let initials: String = words.filter_map(|w| w.chars().next()).take(2).flat_map(char::to_uppercase).collect();
        Self {
            name: actor.name.clone(),
            initials,
            role: actor.role.as_str(),
            operator: actor.role.covers(Role::Operator),
            admin: actor.role.covers(Role::Admin),
        }
    }
}

/// A state: its colour, its icon and its word. Tinted only if it needs a person or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Badge {
    /// The colour's class; empty is neutral.
    pub class: &'static str,
    /// The icon's name.
    pub icon: &'static str,
    /// The word.
    pub word: &'static str,
    /// Whether it stands out.
    pub loud: bool,
}

const fn badge(class: &'static str, icon: &'static str, word: &'static str, loud: bool) -> Badge {
    Badge { class, icon, word, loud }
}

/// A job's state.
#[must_use]
pub const fn job_badge(state: JobState) -> Badge {
    match state {
        JobState::Queued => badge("", "queued", state::job(state), true),
        JobState::Dispatched => badge("", "queued", state::job(state), true),
        JobState::Running => badge("run", "run", state::job(state), true),
        JobState::Succeeded => badge("ok", "ok", state::job(state), false),
        JobState::Warning => badge("warn", "warn", state::job(state), true),
        JobState::Failed => badge("bad", "bad", state::job(state), true),
        JobState::Cancelled => badge("mute", "off", state::job(state), false),
        JobState::Lost => badge("bad", "never", state::job(state), true),
        JobState::Skipped => badge("mute", "off", state::job(state), false),
        JobState::Missed => badge("warn", "clock", state::job(state), true),
    }
}

/// A host's connection.
#[must_use]
pub const fn host_badge(state: HostState) -> Badge {
    match state {
        HostState::Pending => badge("mute", "never", state::host(state), false),
        HostState::Online => badge("ok", "ok", state::host(state), false),
        HostState::Offline => badge("bad", "offline", state::host(state), false),
        HostState::Retired => badge("mute", "off", state::host(state), false),
    }
}

/// How well a host is protected.
#[must_use]
pub const fn protection_badge(state: Protection) -> Badge {
    match state {
        Protection::Protected => badge("ok", "ok", state::protection(state), false),
        Protection::Warning => badge("warn", "warn", state::protection(state), true),
        Protection::Failing => badge("bad", "bad", state::protection(state), true),
        Protection::TooOld => badge("bad", "clock", state::protection(state), true),
        Protection::Never => badge("", "never", state::protection(state), true),
        Protection::Unplanned => badge("mute", "off", state::protection(state), false),
    }
}

/// A job in a list.
#[derive(Clone, Debug, Serialize)]
pub struct JobRow {
    /// Its identity.
    pub id: String,
    /// `Backup`, `Init`, `Snapshots`.
    pub kind: &'static str,
    /// Its schedule's name, or what else it is about.
    pub about: String,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// Its state.
    pub badge: Badge,
    /// Whether it goes on.
    pub open: bool,
    /// Percent, while it runs and that is known.
    pub percent: Option<i64>,
    /// Seconds left, if restic has a guess.
    pub left: Option<u64>,
    /// When it started, or was queued.
    pub at: Moment,
    /// Seconds from start to end.
    pub took: Option<f64>,
    /// Bytes added to the repository.
    pub added: Option<u64>,
    /// Who asked for it.
    pub by: String,
}

/// A job's operation, as a heading says it.
#[must_use]
pub const fn kind_word(kind: JobKind) -> &'static str {
    kind.operation().title
}

/// Percent of a job that runs.
#[must_use]
pub fn percent(job: &Job) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)] // 0 to 100
    job.progress.as_ref().and_then(|p| p.percent).map(|share| (share.clamp(0.0, 1.0) * 100.0).floor() as i64)
}

/// That a host is being backed up, if its newest job does that.
#[must_use]
pub fn running(newest: Option<&Job>) -> Option<String> {
    let job = newest.filter(|job| job.state == JobState::Running && job.kind == JobKind::Backup)?;
    Some(state::running(percent(job)))
}

impl JobRow {
    /// A job with the names that it needs.
    #[must_use]
    pub fn new(job: &Job, host: String, about: String, now: Timestamp) -> Self {
        let running = job.state == JobState::Running;
        let summary = job.result.as_ref().and_then(|r| r.summary.as_ref());
        Self {
            id: job.id.to_string(),
            kind: kind_word(job.kind),
            about,
            host_id: job.host_id.to_string(),
            host,
            badge: job_badge(job.state),
            open: !job.state.finished(),
            percent: percent(job).filter(|_| running),
            left: job.progress.as_ref().and_then(|p| p.seconds_remaining).filter(|_| running),
            at: Moment::new(job.started_at.unwrap_or(job.queued_at), now),
            took: took(job, now),
            added: summary.map(|s| s.data_added_packed.unwrap_or(s.data_added)),
            by: asked_by(&job.requested_by),
        }
    }
}

/// Seconds that a job took, or runs by now.
#[must_use]
pub fn took(job: &Job, now: Timestamp) -> Option<f64> {
    let started = job.started_at?;
    Some(job.finished_at.unwrap_or(now).since(started).as_secs_f64())
}

/// A host in a list, or at the head of its pages.
#[derive(Clone, Debug, Serialize)]
pub struct HostRow {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its connection.
    pub badge: Badge,
    /// How well it is protected.
    pub protection: Badge,
    /// That it is being backed up now, in words.
    pub running: Option<String>,
    /// When its newest good backup started, and whether that is too long ago.
    pub last_good: Option<Moment>,
    /// Until when that counts.
    pub until: Option<Moment>,
    /// Whether it counts as protected.
    pub protected: bool,
    /// The bytes that the newest good backups cover.
    pub bytes: Option<i64>,
    /// Whether it can be told to run now.
    pub online: bool,
    /// Whether it waits for its agent.
    pub pending: bool,
    /// The icon of its system; empty if not known.
    pub os: &'static str,
    /// Its system for people.
    pub system: String,
    /// The same in a few words.
    pub system_short: String,
    /// The machine's own name, if it differs.
    pub hostname: String,
    /// Its processor.
    pub arch: String,
    /// Its time zone.
    pub timezone: Option<String>,
    /// The agent's version.
    pub agent: String,
    /// How far an update of it is, in words; empty if there is none.
    pub update: String,
    /// Whether that update did not work.
    pub update_failed: bool,
    /// The restic version.
    pub restic: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// When its agent was last heard from.
    pub seen: Option<Moment>,
    /// When it was added.
    pub added: Moment,
    /// When its agent enrolled.
    pub enrolled: Option<Moment>,
    /// Whether the agent holds the newest version of what to do.
    pub in_force: bool,
    /// Why nothing of it is forgotten, if that is so.
    pub frozen: Option<Frozen>,
    /// The pause that it is in.
    pub paused: Option<PausedWords>,
    /// The time of that.
    #[serde(skip)]
    pub pause: Option<Pause>,
}

impl HostRow {
    /// How a host looks now.
    #[must_use]
    pub fn new(host: &Host, now: Timestamp) -> Self {
        let os = match host.os {
            Some(Os::Linux) => "linux",
            Some(Os::Windows) => "windows",
            None => "",
        };
        Self {
            id: host.id.to_string(),
            name: host.name.clone(),
            badge: host_badge(host.state),
            protection: match (host.state, protection_badge(host.protection.state)) {
                (HostState::Pending, badge) => Badge { word: state::host(HostState::Pending), ..badge },
                (HostState::Online | HostState::Offline | HostState::Retired, badge) => badge,
            },
            running: None,
            last_good: host.protection.last_good_at.map(|t| Moment::new(t, now)),
            until: host.protection.until.map(|t| Moment::new(t, now)),
            protected: host.protection.state.counts(),
            bytes: host.protection.bytes,
            online: host.state == HostState::Online,
            pending: host.state == HostState::Pending,
            os,
            system: host.os_version.clone(),
            system_short: crate::words::fleet::system(&host.os_version),
            hostname: if host.hostname == host.name { String::new() } else { host.hostname.clone() },
            arch: host.arch.clone(),
            timezone: host.timezone.clone(),
            agent: host.agent_version.clone(),
            update: update_words(host),
            update_failed: host.update.as_ref().is_some_and(|u| u.wanted.is_none() && u.failed.is_some()),
            restic: host.restic_version.clone(),
            tags: host.tags.clone(),
            // The clock of another server may be ahead.
            seen: host.last_seen_at.map(|t| Moment::new(t.min(now), now)),
            added: Moment::new(host.created_at, now),
            enrolled: host.enrolled_at.map(|t| Moment::new(t, now)),
            in_force: host.in_force,
            frozen: host.frozen.as_ref().map(|f| Frozen::new(f, now)),
            paused: host.paused.as_ref().map(|p| PausedWords::new(p, now)),
            pause: host.paused.as_ref().map(Paused::span),
        }
    }
}

/// How far an update of a host's agent is.
fn update_words(host: &Host) -> String {
    let Some(update) = &host.update else { return String::new() };
    if update.phase == UpdatePhase::Proving {
        return release::PROVING.into();
    }
    match (&update.wanted, &update.failed) {
        (Some(version), _) => release::update(update.phase, version),
        (None, Some(failed)) => release::failed(&failed.version),
        (None, None) => String::new(),
    }
}

/// A place to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Where.
    pub href: String,
    /// What it says.
    pub text: String,
}
