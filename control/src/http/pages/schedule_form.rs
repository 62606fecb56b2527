//! The schedule form: what it sends, and what that asks for.

use super::form::{FormErrors, chosen, commas, lines, number, typed};
use crate::domain::schedule::{Retention, Schedule, ScheduleInput};
use restic_manager_shared::wire::state::{BackupOptions, Firing, Overlap};
use serde::{Deserialize, Serialize};

/// What the form sends. A box that is not ticked sends nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ScheduleForm {
    pub(super) name: String,
    pub(super) repository: String,
    pub(super) enabled: Option<String>,
    pub(super) paths: String,
    pub(super) excludes: String,
    pub(super) one_file_system: Option<String>,
    pub(super) exclude_caches: Option<String>,
    pub(super) tags: String,
    pub(super) manual: Option<String>,
    pub(super) cron: String,
    pub(super) timezone: String,
    pub(super) keep_last: String,
    pub(super) keep_hourly: String,
    pub(super) keep_daily: String,
    pub(super) keep_weekly: String,
    pub(super) keep_monthly: String,
    pub(super) keep_yearly: String,
    pub(super) limit_upload: String,
    pub(super) limit_download: String,
    pub(super) catch_up: String,
    pub(super) jitter: String,
    pub(super) overlap: String,
    pub(super) retries: String,
    /// Pressed to see the next runs; nothing is saved then.
    #[serde(skip_serializing)]
    pub(super) show_runs: Option<String>,
}

/// The fields that errors can stand beside, as services name them.
pub(super) const FIELDS: [&str; 19] = [
    "name",
    "repository_id",
    "paths",
    "excludes",
    "tags",
    "cron",
    "timezone",
    "manual",
    "keep_last",
    "keep_hourly",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
    "limit_upload_kib",
    "limit_download_kib",
    "catch_up_minutes",
    "jitter_minutes",
    "retries",
];

/// A box as the form sends it.
pub(super) fn ticked(on: bool) -> Option<String> {
    on.then(|| "1".to_owned())
}

impl ScheduleForm {
    /// The form of a schedule as it is kept.
    #[must_use]
    pub fn of(schedule: &Schedule) -> Self {
        let text = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        let (keep, options) = (schedule.retention, &schedule.options);
        Self {
            name: schedule.name.clone(),
            repository: schedule.repository_id.map(|id| id.to_string()).unwrap_or_default(),
            enabled: ticked(schedule.enabled),
            paths: schedule.paths.join("\n"),
            excludes: schedule.excludes.join("\n"),
            one_file_system: ticked(options.one_file_system),
            exclude_caches: ticked(options.exclude_caches),
            tags: schedule.tags.join(", "),
            manual: ticked(schedule.manual),
            cron: schedule.cron.clone().unwrap_or_default(),
            timezone: schedule.timezone.clone().unwrap_or_default(),
            keep_last: text(keep.keep_last),
            keep_hourly: text(keep.keep_hourly),
            keep_daily: text(keep.keep_daily),
            keep_weekly: text(keep.keep_weekly),
            keep_monthly: text(keep.keep_monthly),
            keep_yearly: text(keep.keep_yearly),
            limit_upload: text(options.limit_upload_kib),
            limit_download: text(options.limit_download_kib),
            ..Self::firing(schedule.firing)
        }
    }

    /// The part of the form that says how fires are treated.
    pub(super) fn firing(firing: Firing) -> Self {
        Self {
            catch_up: firing.catch_up_minutes.to_string(),
            jitter: firing.jitter_minutes.to_string(),
            overlap: if firing.overlap == Overlap::Queue { "queue".into() } else { "skip".into() },
            retries: firing.retries.to_string(),
            ..Self::default()
        }
    }

    /// What the form asks for. While Manual is ticked the page hides the cron line and says that it is not kept, so it is not sent on.
    pub(super) fn input(&self, old: &BackupOptions, wrong: &mut FormErrors) -> ScheduleInput {
        let (manual, usual) = (self.manual.is_some(), Firing::default());
        ScheduleInput {
            name: self.name.clone(),
            paths: lines(&self.paths),
            excludes: lines(&self.excludes),
            tags: commas(&self.tags),
            retention: Retention {
                keep_last: number(&self.keep_last, "keep_last", wrong),
                keep_hourly: number(&self.keep_hourly, "keep_hourly", wrong),
                keep_daily: number(&self.keep_daily, "keep_daily", wrong),
                keep_weekly: number(&self.keep_weekly, "keep_weekly", wrong),
                keep_monthly: number(&self.keep_monthly, "keep_monthly", wrong),
                keep_yearly: number(&self.keep_yearly, "keep_yearly", wrong),
            },
            manual,
            cron: typed(&self.cron).filter(|_| !manual),
            timezone: typed(&self.timezone),
            enabled: self.enabled.is_some(),
            repository_id: chosen(&self.repository, "repository", wrong),
            options: BackupOptions {
                one_file_system: self.one_file_system.is_some(),
                exclude_caches: self.exclude_caches.is_some(),
                limit_upload_kib: number(&self.limit_upload, "limit_upload", wrong),
                limit_download_kib: number(&self.limit_download, "limit_download", wrong),
                ..old.clone()
            },
            firing: Firing {
                catch_up_minutes: number(&self.catch_up, "catch_up", wrong).unwrap_or(usual.catch_up_minutes),
                jitter_minutes: number(&self.jitter, "jitter", wrong).unwrap_or(usual.jitter_minutes),
                overlap: if self.overlap == "queue" { Overlap::Queue } else { Overlap::Skip },
                retries: number(&self.retries, "retries", wrong).unwrap_or(usual.retries),
            },
        }
    }
}

/// What the form's fields are called where services name them otherwise.
pub(super) fn named(wrong: FormErrors) -> FormErrors {
    let name = |field: String| {
        ["_id", "_kib", "_minutes"].iter().fold(field.as_str(), |name, unit| name.trim_end_matches(unit)).to_owned()
    };
    FormErrors { fields: wrong.fields.into_iter().map(|(field, detail)| (name(field), detail)).collect(), ..wrong }
}
