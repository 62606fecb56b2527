//! What the doctor looks at, read-only. Columns come unread, as text: this is the one place where a damaged row must not stop the
//! reading of the others.

use super::conn::Conn;
use super::db::{Manager, OpenError, Target};
use super::schema::{
    audit_events, enrollment_tokens, host_credentials, hosts, job_log, jobs, repositories, schedules, settings,
    snapshots,
};
use super::{StoreError, StoreResult, audit};
use crate::domain::doctor::JobFacts;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::LogLine;
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// Rows read at a time: a log may be larger than memory.
const PAGE: i64 = 2_000;

/// A connection that cannot change anything. Unlike `serve` this makes no database and brings none up to date.
///
/// # Errors
/// When there is no database, or it cannot be opened.
pub fn open(target: &Target) -> Result<Conn, OpenError> {
    if let Target::Sqlite(path) = target
        && !path.exists()
    {
        return Err(OpenError::Connect(format!("there is none at {}", path.display())));
    }
    Manager { target: target.clone(), read_only: true }.open()
}

/// Runs reads that all see the database at one moment: a server that works meanwhile must not look like a contradiction.
///
/// # Errors
/// What the closure answers.
pub fn at_one_moment<T>(conn: &mut Conn, f: impl FnOnce(&mut Conn) -> StoreResult<T>) -> StoreResult<T> {
    let mut outcome = None;
    conn.transaction(|conn| {
        if let Conn::Pg(c) = conn {
            c.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
        }
        outcome = Some(f(conn));
        QueryResult::Ok(())
    })?;
    outcome.unwrap_or_else(|| Err(StoreError::Database("the database was not read".into())))
}

#[derive(QueryableByName)]
struct Said {
    #[diesel(sql_type = Text)]
    text: String,
}

/// What SQLite itself says of its file. PostgreSQL holds its constraints by itself and is not asked.
///
/// # Errors
/// When the database fails.
pub fn integrity(conn: &mut Conn) -> StoreResult<Vec<String>> {
    let Conn::Sqlite(c) = conn else { return Ok(vec![]) };
    let broken = diesel::sql_query("SELECT integrity_check AS text FROM pragma_integrity_check").load::<Said>(c)?;
    let broken = broken.into_iter().filter(|s| s.text != "ok").map(|s| format!("integrity: {}", s.text));
    let dangling = diesel::sql_query(
        "SELECT \"table\" || ' row ' || coalesce(rowid, '?') || ' refers to a missing row of ' || parent AS text \
         FROM pragma_foreign_key_check",
    )
    .load::<Said>(c)?;
    Ok(broken.chain(dangling.into_iter().map(|s| format!("foreign key: {}", s.text))).collect())
}

#[derive(QueryableByName)]
struct LogEnds {
    #[diesel(sql_type = Text)]
    job_id: String,
    #[diesel(sql_type = BigInt)]
    first: i64,
    #[diesel(sql_type = BigInt)]
    last: i64,
}

type JobRow = (
    (String, Option<String>, String, i32, Option<i64>, Option<i64>),
    (Option<i64>, Option<i64>, Option<i64>, i64, i64),
);

/// The columns of every job.
///
/// # Errors
/// When the database fails.
pub fn all_jobs(conn: &mut Conn) -> StoreResult<Vec<JobFacts>> {
    const ENDS: &str = "SELECT job_id, min(seq) AS first, max(seq) AS last FROM job_log GROUP BY job_id";
    let ends: Vec<LogEnds> = match conn {
        Conn::Sqlite(c) => diesel::sql_query(ENDS).load(c)?,
        Conn::Pg(c) => diesel::sql_query(ENDS).load(c)?,
    };
    let ends: HashMap<String, (i64, i64)> = ends.into_iter().map(|e| (e.job_id, (e.first, e.last))).collect();
    let rows: Vec<JobRow> = jobs::table
        .order(jobs::id)
        .select((
            (jobs::id, jobs::schedule_id, jobs::state, jobs::attempt, jobs::due_at, jobs::dispatched_at),
            (jobs::started_at, jobs::finished_at, jobs::lease_until, jobs::chunk_seq, jobs::event_seq),
        ))
        .load(conn)?;
    let facts = |(a, b): JobRow| {
        let log = ends.get(&a.0);
        JobFacts {
            first_log: log.map(|l| l.0),
            last_log: log.map(|l| l.1),
            id: a.0,
            schedule_id: a.1,
            state: a.2,
            attempt: a.3,
            due_at: a.4,
            dispatched_at: a.5,
            started_at: b.0,
            finished_at: b.1,
            lease_until: b.2,
            chunk_seq: b.3,
            event_seq: b.4,
        }
    };
    Ok(rows.into_iter().map(facts).collect())
}

/// Every host: (id, newest version, held version).
///
/// # Errors
/// When the database fails.
pub fn host_versions(conn: &mut Conn) -> StoreResult<Vec<(String, i64, i64)>> {
    Ok(hosts::table.order(hosts::id).select((hosts::id, hosts::schedule_version, hosts::held_version)).load(conn)?)
}

/// Rows that refer to what is not there, on either database.
///
/// # Errors
/// When the database fails.
pub fn orphans(conn: &mut Conn) -> StoreResult<Vec<String>> {
    let known_hosts = || hosts::table.select(hosts::id);
    let known_repositories = || repositories::table.select(repositories::id);
    let lost: Vec<String> = snapshots::table
        .filter(
            diesel::dsl::not(snapshots::host_id.assume_not_null().eq_any(known_hosts()))
                .and(snapshots::host_id.is_not_null())
                .or(diesel::dsl::not(snapshots::repository_id.eq_any(known_repositories()))),
        )
        .select(snapshots::snapshot_id)
        .load(conn)?;
    let mut found: Vec<String> =
        lost.into_iter().map(|id| format!("snapshot {id}: its host or repository is missing")).collect();
    let lost: Vec<String> =
        jobs::table.filter(diesel::dsl::not(jobs::host_id.eq_any(known_hosts()))).select(jobs::id).load(conn)?;
    found.extend(lost.into_iter().map(|id| format!("job {id}: its host is missing")));
    Ok(found)
}

fn unreadable<T: DeserializeOwned>(what: &str, id: &str, text: &str) -> Option<String> {
    serde_json::from_str::<T>(text).err().map(|e| format!("{what} of {id} does not read: {e}"))
}

/// Columns of JSON that do not read as what they are.
///
/// # Errors
/// When the database fails.
pub fn json(conn: &mut Conn) -> StoreResult<Vec<String>> {
    use serde_json::Value;
    let mut found = Vec::new();
    type Texts = (String, Option<String>, Option<String>, Option<String>, Option<String>);
    let of_jobs: Vec<Texts> =
        jobs::table.select((jobs::id, jobs::task, jobs::stands_for, jobs::progress, jobs::result)).load(conn)?;
    for (id, task, stands_for, progress, result) in &of_jobs {
        use crate::domain::job::{JobResult, StandsFor};
        use restic_manager_shared::wire::{job::Task, progress::Progress};
        let read = [
            task.as_deref().and_then(|t| unreadable::<Task>("jobs.task", id, t)),
            stands_for.as_deref().and_then(|t| unreadable::<StandsFor>("jobs.stands_for", id, t)),
            progress.as_deref().and_then(|t| unreadable::<Progress>("jobs.progress", id, t)),
            result.as_deref().and_then(|t| unreadable::<JobResult>("jobs.result", id, t)),
        ];
        found.extend(read.into_iter().flatten());
    }
    let of_hosts: Vec<(String, String)> = hosts::table.select((hosts::id, hosts::tags)).load(conn)?;
    found.extend(of_hosts.iter().filter_map(|(id, t)| unreadable::<Vec<String>>("hosts.tags", id, t)));
    let of_schedules: Vec<(String, String, String, String)> = schedules::table
        .select((schedules::id, schedules::backup, schedules::retention, schedules::firing))
        .load(conn)?;
    for (id, backup, retention, firing) in &of_schedules {
        for (what, text) in [("backup", backup), ("retention", retention), ("firing", firing)] {
            found.extend(unreadable::<Value>(&format!("schedules.{what}"), id, text));
        }
    }
    let of_snapshots: Vec<(String, String)> =
        snapshots::table.select((snapshots::snapshot_id, snapshots::record)).load(conn)?;
    found.extend(of_snapshots.iter().filter_map(|(id, t)| {
        unreadable::<restic_manager_shared::wire::job::SnapshotRecord>("snapshots.record", id, t)
    }));
    Ok(found)
}

/// Log entries that do not read, a page at a time.
///
/// # Errors
/// When the database fails.
pub fn log_lines(conn: &mut Conn) -> StoreResult<Vec<String>> {
    let (mut found, mut after) = (Vec::new(), (String::new(), 0_i64));
    loop {
        let (id, seq) = after.clone();
        let page: Vec<(String, i64, String)> = job_log::table
            .filter(job_log::job_id.gt(id.clone()).or(job_log::job_id.eq(id).and(job_log::seq.gt(seq))))
            .order((job_log::job_id, job_log::seq))
            .limit(PAGE)
            .load(conn)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = (last.0.clone(), last.1);
        found.extend(
            page.iter()
                .filter_map(|(id, seq, t)| unreadable::<Vec<LogLine>>("job_log.lines", &format!("{id}/{seq}"), t)),
        );
    }
}

/// Whether the audit log is whole: each entry's hash covers the one before it.
///
/// # Errors
/// When the database fails.
pub fn audit_chain(conn: &mut Conn) -> StoreResult<Vec<String>> {
    type Row = (i64, i64, String, String, String, String, String, String);
    let (mut seq, mut before) = (0_i64, String::new());
    loop {
        let page: Vec<Row> =
            audit_events::table.filter(audit_events::seq.gt(seq)).order(audit_events::seq).limit(PAGE).load(conn)?;
        if page.is_empty() {
            return Ok(vec![]);
        }
        for (at_seq, at, actor, address, action, subject, detail, hash) in page {
            let entry = audit::Entry { at: Timestamp::from_micros(at), actor, address, action, subject, detail };
            if at_seq != seq + 1 || audit::chain(&before, at_seq, &entry) != hash {
                // What follows hangs on this entry, and would only say the same again.
                return Ok(vec![format!(
                    "audit entry {at_seq}: the chain is broken here: an entry was removed or altered"
                )]);
            }
            (seq, before) = (at_seq, hash);
        }
    }
}

/// A secret at rest: its place (table, column, row) and what is stored.
pub type Sealed = ((&'static str, &'static str, String), String);

/// Every secret that is bound to a row.
///
/// # Errors
/// When the database fails.
pub fn sealed(conn: &mut Conn) -> StoreResult<Vec<Sealed>> {
    let pairs: Vec<(String, String)> =
        repositories::table.select((repositories::id, repositories::password_sealed)).load(conn)?;
    let mut all: Vec<Sealed> = pairs.into_iter().map(|(id, text)| (("repositories", "password", id), text)).collect();
    let pairs: Vec<(String, String)> =
        host_credentials::table.select((host_credentials::id, host_credentials::secrets_sealed)).load(conn)?;
    all.extend(pairs.into_iter().map(|(id, text)| (("host_credentials", "secrets", id), text)));
    let pairs: Vec<(String, String)> =
        settings::table.filter(settings::key.eq("control_key")).select((settings::key, settings::value)).load(conn)?;
    all.extend(pairs.into_iter().map(|(key, text)| (("settings", "value", key), text)));
    Ok(all)
}

/// Credentials that wait in unused enrollment tokens, packed: (token, mode, row and secret).
///
/// # Errors
/// When the database fails.
pub fn packed(conn: &mut Conn) -> StoreResult<Vec<(String, String)>> {
    let rows: Vec<(String, Option<String>)> =
        enrollment_tokens::table.select((enrollment_tokens::id, enrollment_tokens::credential_sealed)).load(conn)?;
    Ok(rows.into_iter().filter_map(|(id, text)| Some((id, text?))).collect())
}
