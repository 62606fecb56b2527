//! The schedule form: what it sends, and what that asks for.

use super::form::{FormErrors, chosen, commas, lines, number, typed};
use crate::domain::drill::{DrillPlan, DrillWish, check_plan};
use crate::domain::retention::foresee;
use crate::domain::schedule::{Retention, Schedule, ScheduleInput, check, zone};
use crate::http::problem::ApiError;
use crate::service::ActError;
use crate::words::capital;
use crate::words::schedule as words;
use crate::words::wrong;
use restic_manager_shared::id::ScheduleId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::state::{BackupOptions, Compression, Firing, Overlap, StdinSource};
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;

const MIB: u64 = 1 << 20;

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
    pub(super) keep_within: String,
    pub(super) keep_tags: String,
    pub(super) limit_upload: String,
    pub(super) limit_download: String,
    pub(super) exclude_larger_than: String,
    pub(super) exclude_if_present: String,
    pub(super) exclude_files: String,
    pub(super) compression: String,
    pub(super) pack_size: String,
    pub(super) read_concurrency: String,
    pub(super) skip_if_unchanged: Option<String>,
    pub(super) use_fs_snapshot: Option<String>,
    pub(super) before: String,
    pub(super) after: String,
    pub(super) hook_limit: String,
    pub(super) hook: String,
    pub(super) hook_filename: String,
    pub(super) catch_up: String,
    pub(super) jitter: String,
    pub(super) overlap: String,
    pub(super) retries: String,
    pub(super) drill: Option<String>,
    pub(super) drill_cron: String,
    pub(super) random_files: String,
    pub(super) oldest_files: String,
    /// In MiB; empty for no limit.
    pub(super) drill_size: String,
    /// Pressed to see the next runs; nothing is saved then.
    #[serde(skip_serializing)]
    pub(super) show_runs: Option<String>,
}

/// The fields that errors can stand beside, as services name them.
pub(super) const FIELDS: [&str; 32] = [
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
    "keep_within",
    "keep_tags",
    "limit_upload_kib",
    "limit_download_kib",
    "exclude_larger_than",
    "exclude_if_present",
    "exclude_files",
    "compression",
    "pack_size_mib",
    "read_concurrency",
    "before",
    "after",
    "hook_limit_minutes",
    "hook",
    "filename",
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
        let (keep, options) = (&schedule.retention, &schedule.options);
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
            keep_within: text(keep.keep_within),
            keep_tags: keep.keep_tags.iter().map(|list| list.join(", ")).collect::<Vec<_>>().join("\n"),
            ..Self::options(options, Self::drill(schedule.drill.as_ref(), Self::firing(schedule.firing)))
        }
    }

    /// The part of the form that says how restic runs.
    fn options(options: &BackupOptions, rest: Self) -> Self {
        Self {
            limit_upload: text(options.limit_upload_kib),
            limit_download: text(options.limit_download_kib),
            exclude_larger_than: options.exclude_larger_than.clone().unwrap_or_default(),
            exclude_if_present: options.exclude_if_present.join("\n"),
            exclude_files: options.exclude_files.join("\n"),
            compression: options.compression.map(compression_word).unwrap_or_default().to_owned(),
            pack_size: text(options.pack_size_mib),
            read_concurrency: text(options.read_concurrency),
            skip_if_unchanged: ticked(options.skip_if_unchanged),
            use_fs_snapshot: ticked(options.use_fs_snapshot),
            before: options.before.clone().unwrap_or_default(),
            after: options.after.clone().unwrap_or_default(),
            hook_limit: text(options.hook_limit_minutes),
            hook: options.stdin.as_ref().map(|s| s.hook.clone()).unwrap_or_default(),
            hook_filename: options.stdin.as_ref().map(|s| s.filename.clone()).unwrap_or_default(),
            ..rest
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

    /// The part of the form that says how it is drilled. Without a plan it offers the usual one, not ticked.
    pub(super) fn drill(plan: Option<&DrillPlan>, rest: Self) -> Self {
        let shown = plan.cloned().unwrap_or_else(|| DrillPlan::usual(ScheduleId::new()));
        Self {
            drill: ticked(plan.is_some()),
            drill_cron: shown.cron,
            random_files: shown.random_files.to_string(),
            oldest_files: shown.oldest_files.to_string(),
            drill_size: text((shown.max_bytes > 0).then(|| shown.max_bytes.div_ceil(MIB))),
            ..rest
        }
    }

    /// The form of a new schedule.
    pub(super) fn blank() -> Self {
        let usual = DrillPlan::usual(ScheduleId::new());
        Self::drill(Some(&usual), Self::firing(Firing::default()))
    }

    /// The plan that is asked for. What is wrong with it is said here: its fields are called otherwise than those of the schedule.
    fn drills(&self, old: Option<&DrillPlan>, wrong: &mut FormErrors) -> DrillWish {
        if self.drill.is_none() {
            return DrillWish::No;
        }
        let usual = DrillPlan::at(self.drill_cron.trim());
        let mib = number(&self.drill_size, "drill_size", wrong).map_or(0, u64::from);
        let wish = DrillWish::By(DrillPlan {
            random_files: number(&self.random_files, "random_files", wrong).unwrap_or(usual.random_files),
            oldest_files: number(&self.oldest_files, "oldest_files", wrong).unwrap_or(usual.oldest_files),
            // The form shows whole MiB; a limit that was not touched stays to the byte.
            max_bytes: old.map(|o| o.max_bytes).filter(|max| max.div_ceil(MIB) == mib).unwrap_or(mib * MIB),
            ..usual
        });
        for error in check_plan(&wish) {
            let field = error.pointer.trim_start_matches("/drill/");
            let field = if field == "cron" { "drill_cron" } else { field };
            wrong.add(if field == "max_bytes" { "drill_size" } else { field }, capital(&error.detail));
        }
        wish
    }

    /// What the form asks for; what it does not show stays as it is. While Manual is ticked the page hides the cron line and says that it
    /// is not kept, so it is not sent on.
    pub(super) fn input(&self, old: Option<&Schedule>, wrong: &mut FormErrors) -> ScheduleInput {
        let manual = self.manual.is_some();
        ScheduleInput {
            name: self.name.clone(),
            paths: lines(&self.paths),
            excludes: lines(&self.excludes),
            tags: commas(&self.tags),
            retention: self.retention(old.map(|o| o.retention.clone()).unwrap_or_default(), wrong),
            manual,
            cron: typed(&self.cron).filter(|_| !manual),
            timezone: typed(&self.timezone),
            enabled: self.enabled.is_some(),
            repository_id: chosen(&self.repository, "repository", wrong),
            options: self.backup_options(old.map(|o| o.options.clone()).unwrap_or_default(), wrong),
            firing: self.fires(wrong),
            drill: self.drills(old.and_then(|o| o.drill.as_ref()), wrong),
        }
    }

    /// What its rules keep in the long run, in words; nothing while the line or the rules do not stand, or if nobody knows when it runs.
    pub(super) fn kept(&self, host_zone: Option<&str>, now: Timestamp) -> String {
        let retention = self.retention(Retention::default(), &mut FormErrors::default());
        if retention.keeps_everything() {
            return words::EVERYTHING.into();
        }
        let own = typed(&self.timezone);
        match (self.cron.parse(), retention.policy()) {
            (Ok(cron), Ok(policy)) if self.manual.is_none() => {
                words::in_the_long_run(foresee(policy, &cron, zone(own.as_deref(), host_zone), now))
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => String::new(),
        }
    }

    /// The rules as far as they stand.
    pub(super) fn rules(&self) -> Retention {
        self.retention(Retention::default(), &mut FormErrors::default())
    }

    fn retention(&self, old: Retention, wrong: &mut FormErrors) -> Retention {
        Retention {
            keep_last: read(&self.keep_last, "keep_last", wrong),
            keep_hourly: read(&self.keep_hourly, "keep_hourly", wrong),
            keep_daily: read(&self.keep_daily, "keep_daily", wrong),
            keep_weekly: read(&self.keep_weekly, "keep_weekly", wrong),
            keep_monthly: read(&self.keep_monthly, "keep_monthly", wrong),
            keep_yearly: read(&self.keep_yearly, "keep_yearly", wrong),
            keep_within: read(&self.keep_within, "keep_within", wrong),
            keep_tags: lines(&self.keep_tags).iter().map(|line| commas(line)).collect(),
            ..old
        }
    }

    fn backup_options(&self, old: BackupOptions, wrong: &mut FormErrors) -> BackupOptions {
        let stdin = typed(&self.hook).map(|hook| StdinSource { hook, filename: self.hook_filename.trim().to_owned() });
        BackupOptions {
            one_file_system: self.one_file_system.is_some(),
            exclude_caches: self.exclude_caches.is_some(),
            limit_upload_kib: number(&self.limit_upload, "limit_upload", wrong),
            limit_download_kib: number(&self.limit_download, "limit_download", wrong),
            exclude_larger_than: typed(&self.exclude_larger_than),
            exclude_if_present: lines(&self.exclude_if_present),
            exclude_files: lines(&self.exclude_files),
            compression: compression_of(&self.compression, wrong),
            pack_size_mib: number(&self.pack_size, "pack_size", wrong),
            read_concurrency: number(&self.read_concurrency, "read_concurrency", wrong),
            skip_if_unchanged: self.skip_if_unchanged.is_some(),
            use_fs_snapshot: self.use_fs_snapshot.is_some(),
            stdin,
            before: typed(&self.before),
            after: typed(&self.after),
            hook_limit_minutes: number(&self.hook_limit, "hook_limit", wrong),
            ..old
        }
    }

    fn fires(&self, wrong: &mut FormErrors) -> Firing {
        let usual = Firing::default();
        Firing {
            catch_up_minutes: number(&self.catch_up, "catch_up", wrong).unwrap_or(usual.catch_up_minutes),
            jitter_minutes: number(&self.jitter, "jitter", wrong).unwrap_or(usual.jitter_minutes),
            overlap: if self.overlap == "queue" { Overlap::Queue } else { Overlap::Skip },
            retries: number(&self.retries, "retries", wrong).unwrap_or(usual.retries),
        }
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

/// What was typed, as what it means; nothing if nothing was typed.
fn read<T: FromStr<Err: Display>>(text: &str, field: &str, wrong: &mut FormErrors) -> Option<T> {
    match typed(text)?.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            wrong.add(field, error.to_string());
            None
        }
    }
}

const COMPRESSIONS: [Compression; 5] =
    [Compression::Auto, Compression::Off, Compression::Max, Compression::Fastest, Compression::Better];

const fn compression_word(compression: Compression) -> &'static str {
    match compression {
        Compression::Auto => "auto",
        Compression::Off => "off",
        Compression::Max => "max",
        Compression::Fastest => "fastest",
        Compression::Better => "better",
    }
}

fn compression_of(word: &str, wrong: &mut FormErrors) -> Option<Compression> {
    let found = COMPRESSIONS.into_iter().find(|c| compression_word(*c) == word);
    if found.is_none() && !word.is_empty() {
        wrong.add("compression", wrong::CHOOSE_ONE_HERE);
    }
    found
}

/// What cannot be read, and beside it what the rules refuse of the rest, so that a form is mended in one round. Drills are not looked at
/// again: what is wrong with them was said when they were read.
pub(super) fn all_wrong(mut unread: FormErrors, input: &ScheduleInput, os: Option<Os>) -> Result<FormErrors, ApiError> {
    let refused = check(input, os).into_iter().filter(|error| !error.pointer.starts_with("/drill/")).collect();
    let refused = named(FormErrors::of(ActError::Invalid(refused), &FIELDS)?);
    refused.fields.into_iter().for_each(|(field, detail)| unread.add(&field, detail));
    Ok(unread)
}

/// What the form's fields are called where services name them otherwise.
pub(super) fn named(wrong: FormErrors) -> FormErrors {
    let name = |field: String| {
        ["_id", "_kib", "_minutes", "_mib"]
            .iter()
            .fold(field.as_str(), |name, unit| name.trim_end_matches(unit))
            .to_owned()
    };
    FormErrors { fields: wrong.fields.into_iter().map(|(field, detail)| (name(field), detail)).collect(), ..wrong }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let form = ScheduleForm {
            name: "docs".into(),
            paths: "docs".into(),
            cron: "every day".into(),
            keep_daily: "seven".into(),
            limit_upload: "fast".into(),
            drill: Some("1".into()),
            drill_cron: "sometimes".into(),
            ..ScheduleForm::blank()
        };
        let mut unread = FormErrors::default();
        let input = form.input(None, &mut unread);
        let Ok(wrong) = all_wrong(unread, &input, Some(Os::Linux)) else { panic!("not about the form") };
        let fields: Vec<&str> = wrong.fields.keys().map(String::as_str).collect();
        assert_eq!(fields, ["cron", "drill_cron", "keep_daily", "limit_upload", "paths"], "{wrong:?}");
    }
}
