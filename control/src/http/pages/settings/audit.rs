//! The audit log, page by page: who did what to what, from where. Whether the entries of a page follow each other unbroken is looked at with
//! each page; the whole chain is the doctor's business.

use super::super::door::View;
use super::super::engine::Page;
use super::super::hosts::{Cursor, PAGE};
use super::super::view::asked_by;
use super::super::words::Moment;
use crate::http::guard::{Admin, Guarded};
use crate::http::problem::ApiError;
use crate::service::{Services, audit};
use actix_web::{HttpResponse, get, web};
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
    /// What, such as `schedule.update`.
    pub action: String,
    /// To what.
    pub subject: String,
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
    let row = |c: &crate::store::audit::Chained| EntryRow {
        seq: c.seq,
        at: Moment::new(c.entry.at, now),
        who: asked_by(&c.entry.actor),
        action: c.entry.action.clone(),
        subject: c.entry.subject.clone(),
        detail: details(&c.entry.detail),
        address: c.entry.address.clone(),
    };
    let entries = listed.items.iter().map(row).collect();
    view.show(&who, &SettingsAuditPage { tab: "audit", entries, next: listed.next, later, unbroken }).await
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
    fn details_are_read_without_braces() {
        let want = [("name".to_owned(), "web".to_owned()), ("new password".into(), "true".into())];
        assert_eq!(details(r#"{"name":"web","new_password":true,"gone":null}"#), want);
        assert!(details("{}").is_empty() && details("none").is_empty());
    }
}
