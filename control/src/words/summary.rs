//! What a daily summary says, as text for people. Its times are told in its own zone, as a message has no viewer.

use super::figures::{count, size};
use super::{alert, cause, notice};
use crate::domain::alert::Severity;
use crate::domain::protection::Protection;
use crate::domain::summary::{AtRisk, Jobs, OpenAlert, Summary};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;

/// How many hosts are protected, in a few words: the subject of a mail.
#[must_use]
pub fn title(summary: &Summary) -> String {
    match (summary.protected, summary.hosts) {
        (_, 0) => "No hosts to protect".into(),
        (protected, 1) => format!("{protected} of 1 host protected"),
        (protected, all) if protected == all => format!("All {} hosts protected", count(all)),
        (protected, all) => format!("{} of {} hosts protected", count(protected), count(all)),
    }
}

/// All of it as plain text.
#[must_use]
pub fn text(summary: &Summary, link: Option<&str>) -> String {
    let mut parts = vec![whose(summary), day(summary)];
    if !summary.at_risk.is_empty() {
        let mut lines = vec!["Not protected:".to_owned()];
        lines.extend(summary.at_risk.iter().map(|host| at_risk(host, zone(summary))));
        lines.extend(more(summary.at_risk_more));
        parts.push(lines.join("\n"));
    }
    if !summary.alerts.is_empty() {
        let mut lines = vec!["Open alerts:".to_owned()];
        lines.extend(summary.alerts.iter().map(|alert| open(alert, zone(summary))));
        lines.extend(more(summary.alerts_more));
        parts.push(lines.join("\n"));
    }
    parts.extend(link.map(|link| format!("See {link}")));
    parts.join("\n\n")
}

fn zone(summary: &Summary) -> Tz {
    summary.timezone.parse().unwrap_or(Tz::UTC)
}

fn shown(at: Timestamp, zone: Tz) -> String {
    at.to_utc().with_timezone(&zone).format("%a %-d %b, %H:%M %Z").to_string()
}

fn headline(summary: &Summary) -> String {
    let (protected, all) = (summary.protected, summary.hosts);
    match (protected, all, summary.is_well()) {
        (_, 0, _) if summary.tags.is_empty() => "There are no hosts yet.".into(),
        (_, 0, _) => "There are no such hosts.".into(),
        (_, 1, true) => "The only host is protected, and no alert is open.".into(),
        (_, all, true) => format!("All {} hosts are protected, and no alert is open.", count(all)),
        (1, 1, false) => "The only host is protected.".into(),
        (_, 1, false) => "The only host is not protected.".into(),
        (protected, all, false) if protected == all => format!("All {} hosts are protected.", count(all)),
        (1, all, false) => format!("1 of {} hosts is protected.", count(all)),
        (protected, all, false) => format!("{} of {} hosts are protected.", count(protected), count(all)),
    }
}

fn whose(summary: &Summary) -> String {
    let headline = headline(summary);
    match summary.tags.as_slice() {
        [] => headline,
        [tag] => format!("Hosts with the tag {tag}: {headline}"),
        tags => format!("Hosts with one of the tags {}: {headline}", tags.join(", ")),
    }
}

fn day(summary: &Summary) -> String {
    let since = shown(summary.since, zone(summary));
    let Jobs { succeeded, warnings, failed, missed, added_bytes } = summary.jobs;
    if succeeded + warnings + failed + missed == 0 {
        return format!("Since {since}: no job ended.");
    }
    let jobs =
        if succeeded == 1 { "1 job succeeded".to_owned() } else { format!("{} jobs succeeded", count(succeeded)) };
    let rest = [(warnings, "with warnings"), (failed, "failed"), (missed, "missed")];
    let rest: String = rest.iter().map(|(n, what)| format!(", {} {what}", count(*n))).collect();
    let added = size(u64::try_from(added_bytes).unwrap_or(0));
    format!("Since {since}: {jobs}{rest}. {added} of new data.")
}

fn more(n: i64) -> Option<String> {
    (n > 0).then(|| format!("And {} more.", count(n)))
}

fn at_risk(host: &AtRisk, zone: Tz) -> String {
    let name = super::attention::name(&host.name, host.paused);
    let repository = host.repository.as_deref().unwrap_or(super::things::REPOSITORY);
    let why = match (host.state, host.cause) {
        (Protection::Failing, Some(code)) => cause::title(code, cause::Names { host: &host.name, repository }),
        (Protection::Failing, None) => "the last backup failed".into(),
        (Protection::TooOld, _) => "the newest backup is too old".into(),
        (Protection::Never, _) => "never backed up".into(),
        (Protection::Unplanned, _) => "no schedule is enabled".into(),
        (Protection::Protected | Protection::Warning, _) => "protected".into(),
    };
    let last = host.last_good_at.map(|at| format!("; last good backup {}", shown(at, zone)));
    format!("- {name}: {why}{}", last.unwrap_or_default())
}

fn open(it: &OpenAlert, zone: Tz) -> String {
    let level = match it.severity {
        Severity::Critical => "Critical",
        Severity::Warning => "Warning",
    };
    let about = notice::about(it.repository.as_ref(), it.host.as_ref(), it.schedule.as_ref());
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    let known = if it.acknowledged { ", acknowledged" } else { "" };
    format!("- {level}{known}: {}{about}; since {}", alert::title(it.kind), shown(it.opened_at, zone))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::AlertKind;
    use restic_manager_shared::id::{AlertId, HostId};
    use restic_manager_shared::wire::job::CauseCode;

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    fn summary(protected: i64, hosts: i64) -> Summary {
        Summary {
            at: t("2026-11-28T07:00:00Z"),
            since: t("2026-11-27T07:00:00Z"),
            timezone: "Europe/Berlin".into(),
            tags: vec![],
            hosts,
            protected,
            jobs: Jobs::default(),
            at_risk: vec![],
            at_risk_more: 0,
            alerts: vec![],
            alerts_more: 0,
        }
    }

    fn host(state: Protection, cause: Option<CauseCode>) -> AtRisk {
        AtRisk {
            id: HostId::new(),
            name: "db-01".into(),
            state,
            last_good_at: Some(t("2026-11-20T02:30:00Z")),
            cause,
            repository: Some("main".into()),
            paused: false,
        }
    }

    #[test]
    fn a_title_says_how_many_hosts_are_protected() {
        for (protected, hosts, said) in [
            (0, 0, "No hosts to protect"),
            (1, 1, "1 of 1 host protected"),
            (0, 1, "0 of 1 host protected"),
            (38, 40, "38 of 40 hosts protected"),
            (40, 40, "All 40 hosts protected"),
            (4_999, 5_000, "4,999 of 5,000 hosts protected"),
        ] {
            assert_eq!(title(&summary(protected, hosts)), said);
        }
    }

    #[test]
    fn a_quiet_day_is_told_with_its_number() {
        let quiet = summary(40, 40);
        assert_eq!(
            text(&quiet, Some("https://backup.example.org/")),
            "All 40 hosts are protected, and no alert is open.\n\nSince Fri 27 Nov, 08:00 CET: no job ended.\n\n\
             See https://backup.example.org/"
        );
        let tagged = Summary { tags: vec!["prod".into()], ..summary(0, 0) };
        assert!(text(&tagged, None).starts_with("Hosts with the tag prod: There are no such hosts."));
    }

    #[test]
    fn a_bad_day_names_the_worst() {
        let alert = OpenAlert {
            id: AlertId::new(),
            kind: AlertKind::ForeignLock,
            severity: Severity::Critical,
            detail: "held".into(),
            repository: Some("main".into()),
            host: None,
            schedule: None,
            opened_at: t("2026-11-27T23:30:00Z"),
            acknowledged: false,
        };
        let known = OpenAlert { severity: Severity::Warning, acknowledged: true, repository: None, ..alert.clone() };
        let bad = Summary {
            jobs: Jobs { succeeded: 1_200, warnings: 2, failed: 1, missed: 3, added_bytes: 13_207_024_435 },
            at_risk: vec![
                host(Protection::Failing, Some(CauseCode::RepositoryLocked)),
                AtRisk { last_good_at: None, paused: true, ..host(Protection::Never, None) },
            ],
            at_risk_more: 7,
            alerts: vec![alert, known],
            alerts_more: 0,
            ..summary(31, 40)
        };
        assert_eq!(
            text(&bad, None),
            "31 of 40 hosts are protected.\n\n\
             Since Fri 27 Nov, 08:00 CET: 1,200 jobs succeeded, 2 with warnings, 1 failed, 3 missed. 12.3 GiB of new data.\n\n\
             Not protected:\n- db-01: The repository main is locked; last good backup Fri 20 Nov, 03:30 CET\n\
             - db-01 (paused): never backed up\nAnd 7 more.\n\n\
             Open alerts:\n- Critical: A lock that nothing known explains: repository main; since Sat 28 Nov, 00:30 CET\n\
             - Warning, acknowledged: A lock that nothing known explains; since Sat 28 Nov, 00:30 CET"
        );
    }
}
