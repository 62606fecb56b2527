//! The audit log over the API: as JSON, page by page, and as one CSV.

use super::Errors;
use crate::http::audited::Asked;
use crate::http::csv::{Csv, KIND, attachment};
use crate::http::guard::{Admin, Guarded};
use crate::http::pages::settings::subject;
use crate::http::params::Paging;
use crate::http::problem::ApiError;
use crate::service::audit::{Chained, Filter};
use crate::service::{Listed, Services, audit};
use crate::words::audit as words;
use actix_web::web::Bytes;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Entries that are read at once for a CSV.
const PIECE: i64 = 1_000;
/// The columns of the CSV.
const HEAD: [&str; 10] =
    ["seq", "at", "actor", "action", "action_in_words", "about", "subject", "address", "detail", "hash"];

/// One entry of the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditEvent {
    /// Its number; counts up without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More about it, as JSON text.
    pub detail: String,
    /// SHA-256 over the hash of the entry before and this one.
    pub hash: String,
}

/// A page of the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub items: Vec<AuditEvent>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which entries.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// Who, as the log spells it, such as `user:anna`, `token:ci` or `system:agent`.
    pub actor: Option<String>,
    /// `changes`, `restores`, `sign-ins`; or an act's code such as `host.update`; or its beginning, such as `host`.
    pub action: Option<String>,
    /// To what, as the log spells it, such as `host:<id>`.
    pub subject: Option<String>,
    /// Words, all of which are to be found: in the entry, in how its act is told, or in the name of the host, schedule, repository or user
    /// that it is about.
    pub q: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Read the audit log
///
/// Who did what to what, from where. Each entry's hash covers the one before it, also where the list is narrowed.
#[utoipa::path(operation_id = "listAuditEvents", tag = "administration", params(AuditQuery), responses((status = 200, body = AuditList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[get("/audit-events")]
pub async fn list_audit_events(
    _: Guarded<Admin>,
    s: web::Data<Services>,
    query: web::Query<AuditQuery>,
) -> Result<web::Json<AuditList>, ApiError> {
    let AuditQuery { actor, action, subject, q, since, until, limit, cursor } = query.into_inner();
    let limit = Paging { limit, cursor: None }.limit()?;
    let filter = Asked { actor, action, subject, q, since, until }.filter()?;
    let page = audit::list(&s, filter, cursor, limit).await?;
    let event = |c: Chained| AuditEvent {
        seq: c.seq,
        at: c.entry.at,
        actor: c.entry.actor,
        address: c.entry.address,
        action: c.entry.action,
        subject: c.entry.subject,
        detail: c.entry.detail,
        hash: c.hash,
    };
    Ok(web::Json(AuditList { items: page.items.into_iter().map(event).collect(), next: page.next }))
}

/// Download the audit log as CSV
///
/// All entries that the filter leaves, newest first, for spreadsheets: a cell that looks like a formula has an apostrophe before it.
#[utoipa::path(operation_id = "downloadAuditEvents", tag = "administration", params(Asked), responses((status = 200, body = String, content_type = "text/csv"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[get("/audit-events.csv")]
pub async fn download_audit_events(
    _: Guarded<Admin>,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let filter = asked.into_inner().filter()?;
    // The first piece is read before the answer begins: what is wrong then has a status.
    let first = audit::list(&s, filter.clone(), None, PIECE).await?;
    let download = Download { s, filter, begun: false };
    let stream = try_unfold((download, Some(first)), |(mut download, page)| async move {
        let Some(page) = page else { return Ok::<_, actix_web::Error>(None) };
        let (text, next) = download.piece(page).await?;
        Ok(Some((Bytes::from(text), (download, next))))
    });
    Ok(attachment(KIND, "audit-log.csv").streaming(stream))
}

/// A download under way. It holds one piece at a time.
struct Download {
    s: web::Data<Services>,
    filter: Filter,
    begun: bool,
}

impl Download {
    /// A piece as text, and the one after it.
    async fn piece(&mut self, page: Listed<Chained>) -> Result<(Vec<u8>, Option<Listed<Chained>>), ApiError> {
        let begun = std::mem::replace(&mut self.begun, true);
        let about = subject::all(&self.s, &page.items).await?;
        let mut csv = if begun { Csv::continued() } else { Csv::new(&HEAD) };
        for (c, about) in page.items.into_iter().zip(about) {
            csv.line(line(c, about.said));
        }
        let next = match page.next {
            Some(cursor) => Some(audit::list(&self.s, self.filter.clone(), Some(cursor), PIECE).await?),
            None => None,
        };
        Ok((csv.text()?, next))
    }
}

fn line(c: Chained, about: String) -> [String; 10] {
    let said = words::action(&c.entry.action).to_owned();
    let e = c.entry;
    let (seq, at) = (c.seq.to_string(), e.at.to_string());
    [seq, at, e.actor, e.action, said, about, e.subject, e.address, e.detail, c.hash]
}
