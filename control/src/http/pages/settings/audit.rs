//! The audit log, page by page: who did what to what, from where. Whether the entries of a page follow each other unbroken is looked at with
//! each page; the whole chain is the doctor's business.

use super::super::door::View;
use super::super::engine::Page;
use super::super::hosts::{Cursor, PAGE};
use super::super::names::Names;
use super::super::view::asked_by;
use crate::http::guard::{Admin, Guarded};
use crate::http::problem::ApiError;
use crate::service::names::Wanted;
use crate::service::user_admin::UserView;
use crate::service::{Services, audit, user_admin};
use crate::words::things::{self, Thing, named};
use crate::words::{Moment, audit as words};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId, UserId};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// A page of the audit log.
#[derive(Debug, Serialize)]
pub struct SettingsAuditPage {
    /// The open tab.
    pub tab: &'static str,
    /// Entries, newest first.
    pub entries: Vec<EntryRow>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Each entry's hash follows from the one before it.
    pub unbroken: bool,
}

impl Page for SettingsAuditPage {
    const TEMPLATE: &'static str = "pages/settings-audit.html";
    const NAV: &'static str = "settings";
}

/// An entry.
#[derive(Debug, Serialize)]
pub struct EntryRow {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Moment,
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// Its code, such as `schedule.update`.
    pub code: String,
    /// To what: its kind and its name, or else its identity.
    pub subject: String,
    /// Where that is, if it is there.
    pub href: Option<String>,
    /// More about it: name and value.
    pub detail: Vec<(String, String)>,
    /// From where.
    pub address: String,
}

/// Shows a page.
#[get("/settings/audit")]
pub async fn list(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Cursor>,
) -> Result<HttpResponse, ApiError> {
    let (cursor, now) = (query.into_inner().cursor, Timestamp::now());
    let later = cursor.is_some();
    let listed = audit::list(&s, cursor, PAGE).await?;
    let unbroken = audit::is_unbroken(&listed.items);
    let subjects: Vec<Subject> = listed.items.iter().map(|c| Subject::of(&c.entry.subject)).collect();
    let mut names = Names::default();
    names.learn(&s, wanted(&subjects)).await?;
    let users = user_admin::list(&s).await?;
    let mut entries = Vec::with_capacity(subjects.len());
    for (c, about) in listed.items.iter().zip(subjects) {
        let (subject, href) = about.told(&s, &mut names, &users).await?;
        entries.push(EntryRow {
            seq: c.seq,
            at: Moment::new(c.entry.at, now),
            who: asked_by(&c.entry.actor),
            action: words::action(&c.entry.action).to_owned(),
            code: c.entry.action.clone(),
            subject,
            href,
            detail: details(&c.entry.detail),
            address: c.entry.address.clone(),
        });
    }
    view.show(&who, &SettingsAuditPage { tab: "audit", entries, next: listed.next, later, unbroken }).await
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Host(HostId),
    Schedule(ScheduleId),
    Repository(RepositoryId),
    User(UserId),
    Job(JobId),
    Other(String),
}

impl Subject {
    /// Out of its spelling in the log, such as `host:<id>`.
    fn of(text: &str) -> Self {
        let known = text.split_once(':').and_then(|(kind, id)| match kind {
            "host" => id.parse().ok().map(Self::Host),
            "schedule" => id.parse().ok().map(Self::Schedule),
            "repository" => id.parse().ok().map(Self::Repository),
            "user" => id.parse().ok().map(Self::User),
            "job" => id.parse().ok().map(Self::Job),
            _ => None,
        });
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// For people, and where it is.
    async fn told(
        self,
        s: &Services,
        names: &mut Names,
        users: &[UserView],
    ) -> Result<(String, Option<String>), ApiError> {
        let gone = |thing, id: String| (things::since(thing, &id), None);
        Ok(match self {
            Self::Host(id) => match names.known_host(s, id).await? {
                Some(name) => (named(Thing::Host, &name), Some(format!("/hosts/{id}"))),
                None => gone(Thing::Host, id.to_string()),
            },
            Self::Schedule(id) => match names.schedule(s, id).await? {
                Some(name) => (named(Thing::Schedule, &name), Some(format!("/schedules/{id}/edit"))),
                None => gone(Thing::Schedule, id.to_string()),
            },
            Self::Repository(id) => match names.repository(s, id).await? {
                Some(name) => (named(Thing::Repository, &name), Some(format!("/repositories/{id}"))),
                None => gone(Thing::Repository, id.to_string()),
            },
            Self::User(id) => match users.iter().find(|user| user.id == id) {
                Some(user) => (named(Thing::User, &user.name), Some(format!("/settings/users/{id}"))),
                None => gone(Thing::User, id.to_string()),
            },
            Self::Job(id) => (named(Thing::Job, &id.to_string()), Some(format!("/jobs/{id}"))),
            Self::Other(text) => match words::thing(text.split(':').next().unwrap_or_default()) {
                Some((thing, href)) => (thing.to_owned(), Some(href.to_owned())),
                None => (text, None),
            },
        })
    }
}

fn wanted(subjects: &[Subject]) -> Wanted {
    let mut wanted = Wanted::default();
    for subject in subjects {
        match subject {
            Subject::Host(id) => wanted.hosts.push(*id),
            Subject::Schedule(id) => wanted.schedules.push(*id),
            Subject::Repository(id) => wanted.repositories.push(*id),
            Subject::User(_) | Subject::Job(_) | Subject::Other(_) => {}
        }
    }
    wanted
}

/// The parts of an entry's detail, as name and value.
fn details(json: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(parts)) = serde_json::from_str(json) else { return vec![] };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    parts
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.replace('_', " "), text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read() {
        let id = HostId::new();
        assert_eq!(Subject::of(&format!("host:{id}")), Subject::Host(id));
        for other in ["host:none", "settings:general", "a word"] {
            assert_eq!(Subject::of(other), Subject::Other(other.into()));
        }
    }

    #[test]
    fn details_are_read_without_braces() {
        let want = [("name".to_owned(), "web".to_owned()), ("new password".into(), "true".into())];
        assert_eq!(details(r#"{"name":"web","new_password":true,"gone":null}"#), want);
        assert!(details("{}").is_empty() && details("none").is_empty());
    }
}
