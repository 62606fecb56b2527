//! Wake-ups between servers that share a PostgreSQL: what one of them changes, a poll that is parked at another should hear of. They travel by
//! NOTIFY, many in one. Like all wake-ups they are hints: one that is lost costs a poll's hold, and nothing else.

use super::db::Target;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Where the servers meet.
const CHANNEL: &str = "restic_manager_wakes";
/// How long what another server says may lie unheard.
const TICK: Duration = Duration::from_millis(25);
/// After a connection was lost, or could not be had.
const PAUSE: Duration = Duration::from_secs(2);
/// PostgreSQL takes payloads of less than 8,000 bytes.
const PAYLOAD: usize = 7_500;

#[derive(QueryableByName)]
struct Backend {
    #[diesel(sql_type = Integer)]
    pid: i32,
}

/// A connection that listens and speaks.
struct Line {
    conn: PgConnection,
    /// What it says itself comes back under this number.
    own: u32,
}

/// Passes on what comes in, and tells what other servers pass on, until it is over. Ends at once on SQLite, which has one server.
pub fn run(target: &Target, words: &Receiver<String>, is_over: impl Fn() -> bool, heard: impl Fn(&str)) {
    let Target::Postgres(url) = target else { return };
    let mut line = None;
    while !is_over() {
        let said = match collect(words) {
            Ok(said) => said,
            Err(RecvTimeoutError::Timeout) => HashSet::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if line.is_none() {
            line = connect(url).inspect_err(|error| tracing::warn!(%error, "other servers cannot be heard")).ok();
        }
        if let Some(open) = &mut line
            && let Err(error) = exchange(open, &said, &heard)
        {
            tracing::warn!(%error, "other servers are not heard for a moment");
            line = None;
        }
        if line.is_none() {
            std::thread::sleep(PAUSE);
        }
    }
}

/// What has come in, each once.
fn collect(words: &Receiver<String>) -> Result<HashSet<String>, RecvTimeoutError> {
    let mut said = HashSet::from([words.recv_timeout(TICK)?]);
    said.extend(words.try_iter());
    Ok(said)
}

fn connect(url: &str) -> ConnectionResult<Line> {
    let mut conn = PgConnection::establish(url)?;
    let failed = |e: diesel::result::Error| ConnectionError::CouldntSetupConfiguration(e);
    conn.batch_execute(&format!("LISTEN {CHANNEL}")).map_err(failed)?;
    let backend: Backend = diesel::sql_query("SELECT pg_backend_pid() AS pid").get_result(&mut conn).map_err(failed)?;
    Ok(Line { conn, own: u32::try_from(backend.pid).unwrap_or_default() })
}

fn exchange(line: &mut Line, said: &HashSet<String>, heard: &impl Fn(&str)) -> QueryResult<()> {
    for payload in payloads(said) {
        let notify = diesel::sql_query("SELECT pg_notify($1, $2)");
        notify.bind::<Text, _>(CHANNEL).bind::<Text, _>(payload).execute(&mut line.conn)?;
    }
    for notification in line.conn.notifications_iter() {
        let notification = notification?;
        if u32::try_from(notification.process_id).ok() != Some(line.own) {
            notification.payload.lines().for_each(heard);
        }
    }
    Ok(())
}

/// Lines, as many as fit in each.
fn payloads(said: &HashSet<String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for word in said {
        match all.last_mut().filter(|last| last.len() + word.len() < PAYLOAD) {
            Some(last) => {
                last.push('\n');
                last.push_str(word);
            }
            None => all.push(word.clone()),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_words_travel_in_few_payloads_and_none_is_lost() {
        let said: HashSet<String> = (0..1_000).map(|n| format!("host 0190a000-0000-7000-8000-{n:012}")).collect();
        let all = payloads(&said);
        assert!(all.len() < 10 && all.iter().all(|p| p.len() < 8_000));
        assert_eq!(all.iter().flat_map(|p| p.lines()).map(ToOwned::to_owned).collect::<HashSet<_>>(), said);
        assert!(payloads(&HashSet::new()).is_empty());
    }
}
