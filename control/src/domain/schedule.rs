//! Schedules: what a host backs up, when, and how long it is kept. The one answer to "what does this host back up?".

use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::spread::spread;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::pause::{Pause, first_free};
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, Firing};
use serde::{Deserialize, Serialize};

pub use super::retention::Retention;

use super::backup_options::check_options;
use super::drill::{self, DrillPlan, DrillWish};
use super::pause::{Paused, current};
use super::repository::check_name;

/// The zone that a line is read in: the schedule's own, else the host's, else UTC.
#[must_use]
pub fn zone(schedule: Option<&str>, host: Option<&str>) -> Tz {
    schedule.or(host).and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Schedule {
    /// Its identity.
    pub id: ScheduleId,
    /// The host that it belongs to.
    pub host_id: HostId,
    /// Where its backups go; none until somebody picks one.
    pub repository_id: Option<RepositoryId>,
    /// Its name, once per host.
    pub name: String,
    /// Whether it runs at all.
    pub enabled: bool,
    /// Runs only when somebody says Run now.
    pub manual: bool,
    /// The crontab(5) line; none if manual.
    pub cron: Option<String>,
    /// IANA zone of the line; the host's own if none.
    pub timezone: Option<String>,
    /// Absolute paths on the host.
    pub paths: Vec<String>,
    /// restic exclude patterns.
    pub excludes: Vec<String>,
    /// Tags written into each snapshot.
    pub tags: Vec<String>,
    /// How restic runs.
    pub options: BackupOptions,
    /// Which snapshots to keep.
    pub retention: Retention,
    /// How its fires are treated.
    pub firing: Firing,
    /// When and how its backups are drilled; none if they are not drilled by themselves.
    pub drill: Option<DrillPlan>,
    /// The pause of its own that it is in now: it does not start by itself. A pause of its host counts besides, and stands there.
    pub paused: Option<Paused>,
    /// All its pauses that are remembered, oldest first.
    #[serde(skip)]
    pub pauses: Vec<Paused>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[cfg(test)]
impl Schedule {
    /// One for tests: enabled, by plan, of a host of its own, with nothing to back up yet.
    pub(crate) fn sample() -> Self {
        Self {
            id: ScheduleId::new(),
            host_id: HostId::new(),
            repository_id: None,
            name: String::new(),
            enabled: true,
            manual: false,
            cron: None,
            timezone: None,
            paths: vec![],
            excludes: vec![],
            tags: vec![],
            options: BackupOptions::default(),
            retention: Retention::default(),
            firing: Firing::default(),
            drill: None,
            paused: None,
            pauses: vec![],
            created_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
        }
    }
}

impl Schedule {
    /// What it backs up, as the agent needs it.
    #[must_use]
    pub fn backup(&self) -> BackupSpec {
        BackupSpec {
            paths: self.paths.clone(),
            excludes: self.excludes.clone(),
            tags: self.tags.clone(),
            options: self.options.clone(),
        }
    }

    /// The same as people see it at an instant.
    #[must_use]
    pub fn seen_at(mut self, now: Timestamp) -> Self {
        self.paused = current(&self.pauses, now).cloned();
        self
    }

    /// When it runs next by itself, if it does, given the times in which it does not.
    #[must_use]
    pub fn next_run(&self, host_zone: Option<&str>, pauses: &[Pause], now: Timestamp) -> Option<Timestamp> {
        let line = self.cron.as_deref().filter(|_| self.enabled && !self.manual)?;
        let (cron, zone) = (line.parse::<Crontab>().ok()?, zone(self.timezone.as_deref(), host_zone));
        let next = |after: Timestamp| {
            let due = cron.next_after(after.to_utc(), zone).map(Timestamp::from)?;
            Some((due, self.start_of(&cron, zone, due)))
        };
        first_free(pauses, now, next).map(|(due, _)| due)
    }

    /// When a fire of a line of it starts on its host, which has its own place in the spread.
    #[must_use]
    pub fn start_of(&self, cron: &Crontab, zone: Tz, due: Timestamp) -> Timestamp {
        let gap = cron.next_after(due.to_utc(), zone).map(|next| Timestamp::from(next).since(due));
        due + spread(self.host_id, self.id, self.firing, gap)
    }
}

/// What a person or script says a schedule should be.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleInput {
    /// Its name, once per host.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Absolute paths on the host, at least one unless a hook's output is backed up.
    #[schema(max_items = 10_000)]
    pub paths: Vec<String>,
    /// restic exclude patterns.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub excludes: Vec<String>,
    /// Tags written into each snapshot; no commas, restic would split them.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub tags: Vec<String>,
    /// Which snapshots to keep.
    #[serde(default, deserialize_with = "super::strict::object")]
    pub retention: Retention,
    /// Runs only when somebody says Run now; then there is no cron line.
    #[serde(default)]
    pub manual: bool,
    /// A crontab(5) line of five fields; needed unless manual.
    #[serde(default)]
    pub cron: Option<String>,
    /// IANA zone of the line; the host's own if none.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Whether it runs at all.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// Where its backups go; the host needs a credential for it.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
    /// How restic runs.
    #[serde(default, deserialize_with = "super::strict::object")]
    pub options: BackupOptions,
    /// How its fires are treated.
    #[serde(default, deserialize_with = "super::strict::object")]
    pub firing: Firing,
    /// When and how its backups are drilled: some files are restored and compared. Left out, a new schedule gets a weekly drill at a time
    /// of its own, and a known one keeps its plan; null means no drills.
    #[serde(default)]
    #[schema(value_type = Option<DrillPlan>)]
    pub drill: DrillWish,
}

const fn enabled() -> bool {
    true
}

/// The longest catch-up, in minutes.
const MAX_CATCH_UP: u32 = 31 * 24 * 60;
/// The widest spread, in minutes.
const MAX_JITTER: u32 = 12 * 60;
const MAX_RETRIES: u32 = 10;
const MAX_ITEMS: usize = 10_000;
const MAX_TEXT: usize = 256 * 1024;

fn at(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// Everything that is wrong with a schedule for a host of this system (none if it is not known yet). Empty means fine.
#[must_use]
pub fn check(input: &ScheduleInput, os: Option<Os>) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    wrong.extend(check_name(&input.name, "/name"));
    match &input.options.stdin {
        None => wrong.extend(check_paths(&input.paths, os, "/paths")),
        Some(_) if !input.paths.is_empty() => {
            wrong.push(at("/paths", "a hook's output is backed up instead of paths: remove them, or the hook"));
        }
        Some(_) => {}
    }
    wrong.extend(check_lines(&input.excludes, "/excludes"));
    wrong.extend(check_tags(&input.tags));
    wrong.extend(check_when(input));
    wrong.extend(check_firing(input.firing));
    wrong.extend(drill::check_plan(&input.drill));
    wrong.extend(input.retention.check("/retention"));
    wrong.extend(check_options(&input.options));
    wrong
}

/// What is wrong with a list of paths.
#[must_use]
pub fn check_paths(paths: &[String], os: Option<Os>, pointer: &str) -> Vec<FieldError> {
    if paths.is_empty() {
        return vec![at(pointer, "name at least one path")];
    }
    let mut wrong = check_lines(paths, pointer);
    wrong.extend(
        paths
            .iter()
            .enumerate()
            .filter_map(|(n, path)| check_path(path, os).map(|detail| at(format!("{pointer}/{n}"), detail))),
    );
    wrong
}

fn check_path(path: &str, os: Option<Os>) -> Option<String> {
    let linux = path.starts_with('/');
    let bytes = path.as_bytes();
    let drive =
        bytes.len() >= 3 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':' && matches!(bytes[2], b'\\' | b'/');
    let windows = drive || path.starts_with("\\\\");
    match os {
        Some(Os::Linux) if windows => Some("this host runs Linux; a path there begins with /".into()),
        Some(Os::Windows) if linux => Some("this host runs Windows; write the drive, such as C:\\Users".into()),
        _ if linux || windows => None,
        Some(Os::Windows) => Some("the path must be absolute, such as C:\\Users".into()),
        _ => Some("the path must be absolute, such as /srv".into()),
    }
}

pub(super) fn check_lines(lines: &[String], pointer: &str) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    if lines.len() > MAX_ITEMS || lines.iter().map(String::len).sum::<usize>() > MAX_TEXT {
        wrong.push(at(pointer, format!("at most {MAX_ITEMS} entries and {MAX_TEXT} bytes in all")));
    }
    for (n, line) in lines.iter().enumerate() {
        if line.trim().is_empty() {
            wrong.push(at(format!("{pointer}/{n}"), "is empty"));
        } else if line.contains(['\0', '\n', '\r']) {
            wrong.push(at(format!("{pointer}/{n}"), "holds a NUL or a line break"));
        }
    }
    wrong
}

fn check_tags(tags: &[String]) -> Vec<FieldError> {
    let mut wrong = check_lines(tags, "/tags");
    if tags.len() > 100 {
        wrong.push(at("/tags", "at most 100"));
    }
    for (n, tag) in tags.iter().enumerate() {
        if tag.contains(',') || tag.trim() != tag || tag.len() > 200 {
            wrong.push(at(format!("/tags/{n}"), "no comma, no space at either end, at most 200 bytes"));
        } else if tag.starts_with("rm-schedule-") || tag.starts_with("rm-job-") {
            wrong.push(at(
                format!("/tags/{n}"),
                "tags that begin with rm-schedule- or rm-job- are given by restic-manager itself",
            ));
        }
    }
    wrong
}

fn check_when(input: &ScheduleInput) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    match (input.manual, input.cron.as_deref()) {
        (true, Some(_)) => wrong.push(at("/cron", "a manual schedule has no cron line: remove it, or untick manual")),
        (true, None) => {}
        (false, None | Some("")) => {
            wrong.push(at("/cron", "write a cron line such as 30 2 * * *, or make the schedule manual"))
        }
        (false, Some(line)) => match line.parse::<Crontab>() {
            Err(error) => wrong.push(at("/cron", error.to_string())),
            Ok(cron) if cron.next_after(chrono::DateTime::UNIX_EPOCH, Tz::UTC).is_none() => {
                wrong.push(at("/cron", "day of month: there is no such day in that month, so it would never run"));
            }
            Ok(_) => {}
        },
    }
    if input.timezone.as_deref().is_some_and(|zone| zone.parse::<Tz>().is_err()) {
        wrong.push(at("/timezone", "not an IANA time zone such as Europe/Berlin"));
    }
    wrong
}

fn check_firing(firing: Firing) -> Vec<FieldError> {
    let most = [
        ("catch_up_minutes", firing.catch_up_minutes, MAX_CATCH_UP, "at most 31 days; 0 makes up for nothing"),
        ("jitter_minutes", firing.jitter_minutes, MAX_JITTER, "at most 12 hours"),
        ("retries", firing.retries, MAX_RETRIES, "at most 10"),
    ];
    let over = most.into_iter().filter(|(_, given, most, _)| given > most);
    over.map(|(name, _, _, detail)| at(format!("/firing/{name}"), detail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::Count;

    fn manual(paths: &[&str]) -> ScheduleInput {
        ScheduleInput {
            name: "Initial schedule".into(),
            paths: paths.iter().map(ToString::to_string).collect(),
            manual: true,
            enabled: true,
            ..ScheduleInput::default()
        }
    }

    fn pointers(input: &ScheduleInput, os: Option<Os>) -> Vec<String> {
        check(input, os).into_iter().map(|e| e.pointer).collect()
    }

    #[test]
    fn cron_and_manual_exclude_each_other() {
        let with = |manual: bool, cron: Option<&str>| ScheduleInput {
            manual,
            cron: cron.map(Into::into),
            ..self::manual(&["/srv"])
        };
        for (manual, cron, pointer) in [
            (true, None, None),
            (true, Some("30 2 * * *"), Some("/cron")),
            (false, Some("30 2 * * *"), None),
            (false, Some("@daily"), None),
            (false, None, Some("/cron")),
            (false, Some(""), Some("/cron")),
            (false, Some("30 25 * * *"), Some("/cron")),
            (false, Some("0 0 31 2 *"), Some("/cron")),
        ] {
            assert_eq!(pointers(&with(manual, cron), None).first().map(String::as_str), pointer, "{manual} {cron:?}");
        }
        assert!(check(&with(false, Some("30 25 * * *")), None)[0].detail.starts_with("hour"));
    }

    #[test]
    fn paths_are_absolute_in_the_hosts_own_way() {
        for (path, os, fine) in [
            ("/srv", None, true),
            ("/srv", Some(Os::Linux), true),
            ("/srv", Some(Os::Windows), false),
            ("C:\\Users", None, true),
            ("C:\\Users", Some(Os::Windows), true),
            ("D:/data", Some(Os::Windows), true),
            ("\\\\nas\\share", Some(Os::Windows), true),
            ("C:\\Users", Some(Os::Linux), false),
            ("srv", None, false),
            ("C:", Some(Os::Windows), false),
            ("/a\0b", Some(Os::Linux), false),
            ("  ", None, false),
        ] {
            assert_eq!(check_paths(&[path.into()], os, "/paths").is_empty(), fine, "{path:?} {os:?}");
        }
        assert_eq!(pointers(&manual(&[]), None), ["/paths"]);
    }

    #[test]
    fn the_rest_of_a_schedule_is_checked_too() {
        let mut input = manual(&["/srv"]);
        input.name = " x".into();
        input.tags = vec!["a,b".into(), "rm-job-x".into()];
        input.timezone = Some("Mars/Base".into());
        input.retention.keep_daily = Some(Count::Of(0));
        input.options.limit_upload_kib = Some(0);
        input.firing = Firing { catch_up_minutes: MAX_CATCH_UP + 1, retries: MAX_RETRIES + 1, ..Firing::default() };
        assert_eq!(
            pointers(&input, None),
            [
                "/name",
                "/tags/0",
                "/tags/1",
                "/timezone",
                "/firing/catch_up_minutes",
                "/firing/retries",
                "/retention/keep_daily",
                "/options/limit_upload_kib"
            ]
        );
    }
}
