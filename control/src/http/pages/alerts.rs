//! Alerts: what is wrong now, the worst first, with a way to what it is about; and what was wrong. Acknowledging says that one is known.

use super::door::{View, go};
use super::engine::Page;
use super::hosts::PAGE;
use super::names::Names;
use super::repository::access::Sure;
use super::view::asked_by;
use super::words::Moment;
use crate::domain::alert::{Alert, AlertKind, Severity};
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, alerts};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{AlertId, HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most open alerts on a page.
const OPEN: i64 = 200;

/// Alerts.
#[derive(Debug, Serialize)]
pub struct AlertsPage {
    /// Those that nobody has acknowledged, the worst first; on the page of all: this page of them, newest first.
    pub alerts: Vec<AlertRow>,
    /// Open ones that somebody knows of.
    pub known: Vec<AlertRow>,
    /// Whether all are shown, also those that have ended.
    pub all: bool,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
}

impl Page for AlertsPage {
    const TEMPLATE: &'static str = "pages/alerts.html";
    const NAV: &'static str = "alerts";
}

/// An alert in a list.
#[derive(Debug, Serialize)]
pub struct AlertRow {
    /// Its identity.
    pub id: String,
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// The condition.
    pub title: &'static str,
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
    /// When it ended.
    pub ended: Option<Moment>,
}

const fn title(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::CredentialCanDelete => "A credential that should only append can delete",
        AlertKind::UnattestedSnapshots => "Snapshots that no job of ours made",
        AlertKind::RetentionCeiling => "Retention waits for a person",
        AlertKind::RetentionFrozen => "Retention is frozen",
        AlertKind::RepositoryDamaged => "The repository is damaged",
        AlertKind::MaintenanceFailed => "Maintenance failed",
        AlertKind::ForeignLock => "A lock that nothing known explains",
        AlertKind::RotationStuck => "The change of a password does not go on",
        AlertKind::DrillFailed => "A restore drill failed",
        AlertKind::BackupFailed => "Backups fail",
        AlertKind::BackupOverdue => "The newest backup is too old",
        AlertKind::HostOffline => "The host is silent",
    }
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
        | AlertKind::HostOffline => "",
    }
}

/// What an alert is about, by its subject such as `repository:<id>/host:<id>`.
#[derive(Debug, Default, PartialEq, Eq)]
struct About {
    repository: Option<RepositoryId>,
    host: Option<HostId>,
}

fn about(subject: &str) -> About {
    let mut about = About::default();
    for part in subject.split('/') {
        match part.split_once(':') {
            Some(("repository", id)) => about.repository = id.parse().ok(),
            Some(("host", id)) => about.host = id.parse().ok(),
            _ => {}
        }
    }
    about
}

async fn row(s: &Services, alert: &Alert, names: &mut Names, now: Timestamp) -> Result<AlertRow, ApiError> {
    let About { repository, host } = about(&alert.subject);
    let (mut words, mut href) = (vec![], None);
    if let Some(id) = repository {
        let name = names.repository(s, id).await?;
        href = name.is_some().then(|| format!("/repositories/{id}{}", tab(alert.kind)));
        words.push(format!("Repository {}", name.unwrap_or_else(|| "that was deleted".into())));
    }
    if let Some(id) = host {
        words.push(format!("Host {}", names.host(s, id).await?));
        let drills = if alert.kind == AlertKind::DrillFailed { "/drills?host=" } else { "/hosts/" };
        href = href.or_else(|| Some(format!("{drills}{id}")));
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
        title: title(alert.kind),
        detail: super::form::capital(&alert.detail),
        subject: words.join(", "),
        href,
        opened: Moment::new(alert.opened_at, now),
        known: moment(alert.acknowledged_at)
            .map(|at| (at, asked_by(alert.acknowledged_by.as_deref().unwrap_or_default()))),
        ended: moment(alert.resolved_at),
    })
}

/// Open alerts that nobody has acknowledged, as rows; some of them, for the dashboard. Those of single hosts' backups are left out: it
/// tells of them by their causes.
///
/// # Errors
/// When the database fails.
pub async fn alert_rows(s: &Services, names: &mut Names, now: Timestamp) -> Result<Vec<AlertRow>, ApiError> {
    let mut rows = vec![];
    for alert in &alerts::unknown_beside(s, &[AlertKind::BackupFailed, AlertKind::BackupOverdue], PAGE).await? {
        rows.push(row(s, alert, names, now).await?);
    }
    Ok(rows)
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub struct AlertsQuery {
    #[serde(default)]
    show: String,
    cursor: Option<String>,
}

/// Alerts that hold now, or all that ever did.
#[get("/alerts")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<AlertsQuery>,
) -> Result<HttpResponse, ApiError> {
    let AlertsQuery { show, cursor } = query.into_inner();
    let (all, later) = (show == "all", cursor.is_some());
    let listed = alerts::list(&s, !all, cursor, if all { PAGE } else { OPEN }).await?;
    let (now, mut names) = (Timestamp::now(), Names::default());
    let mut items = listed.items;
    if !all {
        items.sort_by_key(|a| std::cmp::Reverse(a.severity));
    }
    let (mut open, mut known) = (vec![], vec![]);
    for alert in &items {
        let list = if !all && alert.acknowledged_at.is_some() { &mut known } else { &mut open };
        list.push(row(&s, alert, &mut names, now).await?);
    }
    view.show(&who, &AlertsPage { alerts: open, known, all, next: listed.next, later }).await
}

/// Says that an alert is known.
#[post("/alerts/{id}/acknowledge")]
pub async fn acknowledge(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    alerts::acknowledge(&s, &who.actor, *id).await?;
    Ok(go("/alerts?done=acknowledged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_name_what_they_are_about() {
        let (repository, host) = (RepositoryId::new(), HostId::new());
        assert_eq!(
            about(&format!("host:{host}/repository:{repository}")),
            About { repository: Some(repository), host: Some(host) }
        );
        assert_eq!(about(&format!("repository:{repository}/prune")).repository, Some(repository));
        assert_eq!(about("something else"), About::default());
    }
}
