//! Alerts: what is wrong now, the worst first, with a way to what it is about; and what was wrong. Acknowledging says that one is known.

use super::door::View;
use super::engine::Page;
use super::hosts::PAGE;
use super::names::Names;
use super::view::asked_by;
use crate::domain::alert::{About, Alert, AlertKind, Severity};
use crate::domain::channel::DeliveryState;
use crate::domain::health::lies_with_repository;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::alerts::Crowd;
use crate::service::channels::Told;
use crate::service::names::Wanted;
use crate::service::{Services, alerts, channels};
use crate::words::Moment;
use crate::words::{alert as words, attention, channel::told as channel, things};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{AlertId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::{Deserialize, Serialize};

/// The most open alerts on a page.
const OPEN: i64 = 200;

/// Alerts.
#[derive(Debug, Serialize)]
pub struct AlertsPage {
    /// The open tab.
    pub tab: &'static str,
    /// Those that nobody has acknowledged, the worst first; on the page of all: this page of them, newest first.
    pub alerts: Vec<AlertRow>,
    /// Open ones that somebody knows of.
    pub known: Vec<AlertRow>,
    /// Whether all are shown, also those that have ended.
    pub all: bool,
    /// Whether there is any channel.
    pub channels: bool,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Whether there are more open ones than are shown.
    pub cut: bool,
    /// Alerts that have opened since the page was shown; none on the page itself.
    pub fresh: usize,
    /// When it was shown, in microseconds.
    pub since: i64,
    /// The tag of hosts that the open ones are narrowed to.
    pub tag: String,
    /// What is said if nothing is open.
    pub quiet: String,
}

impl Page for AlertsPage {
    const TEMPLATE: &'static str = "pages/alerts.html";
    const NAV: &'static str = "alerts";
}

/// An alert in a list.
#[derive(Debug, Serialize)]
pub struct AlertRow {
    /// Its identity; none if it stands for many.
    pub id: String,
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// The condition, with what it is about.
    pub title: String,
    /// What it is about.
    pub detail: String,
    /// Its subject's name.
    pub subject: String,
    /// Where its subject is.
    pub href: Option<String>,
    /// Since when it holds.
    pub opened: Moment,
    /// When somebody said that it is known, and who.
    pub known: Option<(Moment, String)>,
    /// Why it is known, in their words.
    pub reason: Option<String>,
    /// Until when that holds.
    pub until: Option<Moment>,
    /// When it ended.
    pub ended: Option<Moment>,
    /// Who was told.
    pub told: Vec<ToldLine>,
    /// What there is to do, the first of it first.
    pub acts: Vec<AlertAct>,
}

/// What there is to do about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertAct {
    /// Where.
    pub href: String,
    /// What it says.
    pub text: &'static str,
    /// Only operators may.
    pub operator: bool,
}

/// How one channel stands to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldLine {
    /// The channel.
    pub channel: String,
    /// When it was told.
    pub at: Option<Moment>,
    /// What is to be said if it was not.
    pub not: &'static str,
    /// Why it was not.
    pub trouble: Option<String>,
}

/// One line for each channel: that it was told, or else why not yet.
fn lines_of(told: &[Told], id: AlertId, now: Timestamp) -> Vec<ToldLine> {
    let mut lines: Vec<ToldLine> = vec![];
    for one in told.iter().filter(|t| t.alert == id) {
        let line = ToldLine {
            channel: one.channel.clone(),
            at: one.at.map(|at| Moment::new(at, now)),
            not: match (one.state, &one.trouble) {
                (DeliveryState::Sent, _) => "",
                (DeliveryState::Pending, None) => channel::WAITS,
                (DeliveryState::Pending, Some(_)) => channel::NOT_YET,
                (DeliveryState::Failed | DeliveryState::GivenUp, _) => channel::GIVEN_UP,
            },
            trouble: one.trouble.clone().filter(|_| one.state != DeliveryState::Sent),
        };
        lines.push(line);
    }
    lines
}

const fn icon(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::CredentialCanDelete | AlertKind::RepositoryDamaged => "shield-no",
        AlertKind::UnattestedSnapshots => "snapshot",
        AlertKind::RetentionCeiling => "clock",
        AlertKind::RetentionFrozen => "pause",
        AlertKind::MaintenanceFailed => "wrench",
        AlertKind::ForeignLock => "lock",
        AlertKind::RotationStuck => "key",
        AlertKind::DrillFailed => "restore",
        AlertKind::BackupFailed => "bad",
        AlertKind::BackupOverdue => "clock",
        AlertKind::HostOffline => "offline",
        AlertKind::RolloutStopped => "gauge",
    }
}

/// Which tab of the repository deals with it.
const fn tab(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::UnattestedSnapshots => "/snapshots?show=unattested",
        AlertKind::RetentionCeiling => "/retention",
        AlertKind::MaintenanceFailed => "/maintenance",
        AlertKind::CredentialCanDelete => "/hosts",
        AlertKind::RotationStuck => "/settings",
        AlertKind::RetentionFrozen
        | AlertKind::RepositoryDamaged
        | AlertKind::ForeignLock
        | AlertKind::DrillFailed
        | AlertKind::BackupFailed
        | AlertKind::BackupOverdue
        | AlertKind::HostOffline
        | AlertKind::RolloutStopped => "",
    }
}

/// An alert as a row; whom it was told is not looked up.
///
/// # Errors
/// When the database fails.
pub(super) async fn row(s: &Services, alert: &Alert, names: &mut Names, now: Timestamp) -> Result<AlertRow, ApiError> {
    let About { repository, host, schedule: _ } = About::of(&alert.subject);
    let (mut about, mut href) = (vec![], None);
    let (mut repository_name, mut host_name) = (None, None);
    if let Some(id) = repository {
        repository_name = names.repository(s, id).await?;
        href = repository_name.is_some().then(|| format!("/repositories/{id}{}", tab(alert.kind)));
        about.push(words::repository(repository_name.as_deref()));
    }
    if let Some(id) = host {
        let name = names.host(s, id).await?;
        about.push(words::host(&name));
        host_name = Some(name);
        let drills = if alert.kind == AlertKind::DrillFailed { "/drills?host=" } else { "/hosts/" };
        href = href.or_else(|| Some(format!("{drills}{id}")));
    }
    if alert.kind == AlertKind::RolloutStopped {
        href = Some("/settings/releases".into());
    }
    let moment = |at: Option<Timestamp>| at.map(|at| Moment::new(at, now));
    Ok(AlertRow {
        id: alert.id.to_string(),
        icon: icon(alert.kind),
        class: match alert.severity {
            _ if alert.resolved_at.is_some() => "mute",
            Severity::Warning => "warn",
            Severity::Critical => "bad",
        },
        title: words::headline(alert.kind, host_name.as_deref(), repository_name.as_deref()),
        detail: crate::words::capital(&words::in_zone(&alert.detail, now)),
        subject: about.join(", "),
        acts: acts(alert.kind, href.as_deref(), repository.filter(|_| repository_name.is_some())),
        href,
        opened: Moment::new(alert.opened_at, now),
        known: moment(alert.acknowledged_at)
            .map(|at| (at, asked_by(alert.acknowledged_by.as_deref().unwrap_or_default()))),
        reason: alert.acknowledged_reason.clone(),
        until: moment(alert.acknowledged_until),
        ended: moment(alert.resolved_at),
        told: vec![],
    })
}

/// What there is to do about what holds: a lock is removed where it is told whose it is.
fn acts(kind: AlertKind, href: Option<&str>, repository: Option<RepositoryId>) -> Vec<AlertAct> {
    let lock = repository.filter(|_| kind == AlertKind::ForeignLock);
    let remove = lock.map(|id| AlertAct {
        href: format!("/repositories/{id}/locks/remove"),
        text: words::REMOVE_LOCK,
        operator: true,
    });
    let open = href.map(|href| AlertAct { href: href.to_owned(), text: words::way(kind), operator: false });
    remove.into_iter().chain(open).collect()
}

/// Whose names the rows of these alerts show.
pub(super) fn wanted(alerts: &[Alert]) -> Wanted {
    let mut wanted = Wanted::default();
    for about in alerts.iter().map(|alert| About::of(&alert.subject)) {
        wanted.hosts.extend(about.host);
        wanted.repositories.extend(about.repository);
    }
    wanted
}

/// What holds for many hosts, as one row.
fn crowd_row(crowd: Crowd, now: Timestamp) -> AlertRow {
    AlertRow {
        id: String::new(),
        icon: icon(crowd.kind),
        class: if crowd.kind == AlertKind::HostOffline { "warn" } else { "bad" },
        title: words::title(crowd.kind).into(),
        detail: words::crowd(crowd.hosts),
        subject: words::CROWD.into(),
        href: Some("/hosts".into()),
        opened: Moment::new(crowd.since.unwrap_or(now), now),
        known: None,
        reason: None,
        until: None,
        ended: None,
        told: vec![],
        acts: vec![AlertAct { href: "/hosts".into(), text: words::OPEN_HOSTS, operator: false }],
    }
}

/// Open alerts that nobody has acknowledged, of all or of hosts with a tag, as rows; some of them, for the dashboard. Those of single hosts' backups are left out: it
/// tells of them by their causes.
///
/// # Errors
/// When the database fails.
pub async fn alert_rows(
    s: &Services,
    tag: Option<&str>,
    names: &mut Names,
    now: Timestamp,
) -> Result<Vec<AlertRow>, ApiError> {
    let mut rows = vec![];
    let told_otherwise = &[AlertKind::BackupFailed, AlertKind::BackupOverdue];
    for alert in &alerts::unknown_beside(s, tag.map(Into::into), told_otherwise, PAGE).await? {
        rows.push(row(s, alert, names, now).await?);
    }
    Ok(rows)
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub struct AlertsQuery {
    #[serde(default)]
    show: String,
    #[serde(default)]
    tag: String,
    cursor: Option<String>,
}

/// What is open, narrowed to hosts with a tag or in full; then what holds for many hosts is one.
async fn open_ones(s: &Services, tag: &str) -> Result<(Vec<Alert>, Vec<Crowd>), ApiError> {
    if tag.is_empty() {
        return Ok(alerts::open(s, OPEN).await?);
    }
    Ok((alerts::open_of_tag(s, tag.to_owned(), None, OPEN).await?.items, vec![]))
}

/// Alerts that hold now, or all that ever did.
#[get("/alerts")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<AlertsQuery>,
) -> Result<HttpResponse, ApiError> {
    let AlertsQuery { show, tag, cursor } = query.into_inner();
    let (all, later, tag) = (show == "all", cursor.is_some(), tag.trim().to_owned());
    let (now, mut names) = (Timestamp::now(), Names::default());
    let (items, crowds, next) = if all {
        let listed = alerts::list(&s, false, cursor, PAGE).await?;
        (listed.items, vec![], listed.next)
    } else {
        let (mut items, crowds) = open_ones(&s, &tag).await?;
        items.sort_by_key(|a| std::cmp::Reverse(a.severity));
        (items, crowds, None)
    };
    names.learn(&s, wanted(&items)).await?;
    let quiet = match items.is_empty() && !all {
        true => quiet(alerts::list(&s, false, None, 1).await?.items.first(), now),
        false => quiet(None, now),
    };
    let cut = !all && i64::try_from(items.len()).is_ok_and(|n| n >= OPEN);
    let (mut open, mut known) = (crowds.iter().map(|crowd| crowd_row(*crowd, now)).collect(), vec![]);
    let (rows, channels) = rows(&s, &items, &mut names, now).await?;
    for (alert, row) in items.iter().zip(rows) {
        let list = if !all && alert.acknowledged_at.is_some() { &mut known } else { &mut open };
        list.push(row);
    }
    let (tab, since) = (if all { "history" } else { "open" }, now.micros());
    let page = AlertsPage { tab, alerts: open, known, all, channels, next, later, cut, fresh: 0, since, tag, quiet };
    view.show(&who, &page).await
}

/// What is said where nothing is wrong; `last` is the newest alert that there was.
fn quiet(last: Option<&Alert>, now: Timestamp) -> String {
    let last = last.filter(|alert| alert.resolved_at.is_some());
    words::quiet(last.map(|alert| Moment::new(alert.opened_at, now)).as_ref())
}

/// These alerts as rows with who was told; and whether there is any channel.
async fn rows(
    s: &Services,
    items: &[Alert],
    names: &mut Names,
    now: Timestamp,
) -> Result<(Vec<AlertRow>, bool), ApiError> {
    let (told, channels) = channels::told(s, items.iter().map(|a| a.id).collect()).await?;
    let causes = alerts::causes(s, items).await?;
    let mut rows = Vec::with_capacity(items.len());
    for alert in items {
        let told = lines_of(&told, alert.id, now);
        let mut row = AlertRow { told, ..row(s, alert, names, now).await? };
        let failed = (alert.kind == AlertKind::BackupFailed).then(|| About::of(&alert.subject).host).flatten();
        if let Some((repository, code)) = failed.and_then(|host| causes.get(&host)) {
            because(s, &mut row, *repository, *code, names).await?;
        }
        rows.push(row);
    }
    Ok((rows, channels))
}

/// Says why backups fail, where that lies with the repository; a lock is removed where it is told whose it is.
async fn because(
    s: &Services,
    row: &mut AlertRow,
    repository: RepositoryId,
    code: CauseCode,
    names: &mut Names,
) -> Result<(), ApiError> {
    if !lies_with_repository(code) {
        return Ok(());
    }
    let name = names.repository(s, repository).await?.unwrap_or_else(|| things::REPOSITORY.into());
    row.detail = words::because(&attention::failing(&name, Some(code)), &row.detail);
    if code == CauseCode::RepositoryLocked {
        row.acts.splice(0..0, acts(AlertKind::ForeignLock, None, Some(repository)));
    }
    Ok(())
}

/// What changes of the open alerts.
#[derive(Debug, Serialize)]
pub struct AlertsLive {
    /// How many have opened since. They are not put into the list: what is under the pointer stays there.
    pub fresh: usize,
    /// Those that were open then.
    pub list: Vec<AlertRow>,
    /// Whether there is any channel.
    pub channels: bool,
}

impl Page for AlertsLive {
    const TEMPLATE: &'static str = "fragments/alerts.html";
}

/// Since when, and what the browser has.
#[derive(Debug, Deserialize)]
pub struct LiveQuery {
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    tag: String,
    since: i64,
}

/// What changed of the open alerts since a page of them was shown.
#[get("/ui/alerts/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let (since, now, mut names) = (Timestamp::from_micros(query.since), Timestamp::now(), Names::default());
    let (open, _) = open_ones(&s, query.tag.trim()).await?;
    let (fresh, mut items): (Vec<Alert>, Vec<Alert>) = open.into_iter().partition(|alert| alert.opened_at > since);
    let newest = alerts::list(&s, false, None, OPEN).await?.items.into_iter();
    items.extend(newest.filter(|a| a.opened_at <= since && a.resolved_at.is_some_and(|at| at >= since)));
    names.learn(&s, wanted(&items)).await?;
    let (shown, channels) = rows(&s, &items, &mut names, now).await?;
    let live = AlertsLive { fresh: fresh.len(), list: shown, channels };
    view.fragment(&who, &query.cursor, "/alerts", &live).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_says_when_it_was_told_or_why_not() {
        let (id, now) = (AlertId::new(), Timestamp::from_seconds(1_800_000_000));
        let told = |state, at, trouble: Option<&str>| Told {
            alert: id,
            channel: "Ops".into(),
            state,
            at,
            trouble: trouble.map(Into::into),
        };
        for (one, at, not, trouble) in [
            (told(DeliveryState::Sent, Some(now), Some("old")), true, "", None),
            (told(DeliveryState::Pending, None, None), false, "waits", None),
            (told(DeliveryState::Pending, None, Some("403")), false, "not delivered yet", Some("403")),
            (told(DeliveryState::GivenUp, None, Some("403")), false, "given up", Some("403")),
        ] {
            let lines = lines_of(std::slice::from_ref(&one), id, now);
            let line = &lines[0];
            assert_eq!((line.at.is_some(), line.not, line.trouble.as_deref()), (at, not, trouble));
            assert!(lines_of(&[one], AlertId::new(), now).is_empty());
        }
    }
}
