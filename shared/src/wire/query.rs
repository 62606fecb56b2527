//! Queries: a question about what is in a snapshot that a person waits for, and its answer. Unlike a job it changes nothing, is not
//! recorded and may be lost: who still waits asks again.
//!
//! Names are as restic gives them: a byte that is not UTF-8 is U+FFFD, and everything else may be in them, new lines too.

use super::cause::Cause;
use super::changes::{ChangesAsk, ChangesPage};
use super::operation::Entry;
use crate::id::{QueryId, RepositoryId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most entries of a page.
pub const MAX_PAGE: u32 = 1_000;
/// The most bytes of a page as JSON; a page with long names holds fewer entries.
pub const MAX_PAGE_BYTES: usize = 512 * 1024;
/// The most snapshots that one question may be about.
pub const MAX_QUERY_SNAPSHOTS: usize = 500;

/// A question. The poll's answer brings it until it is answered or nobody waits for it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Query {
    /// Which; the answer names it.
    pub id: QueryId,
    /// The repository, for which the host has a credential.
    pub repository_id: RepositoryId,
    /// Its address, where it is not the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_url: Option<String>,
    /// When nobody will wait for the answer any more, by the server's clock.
    pub deadline: Timestamp,
    /// What.
    pub ask: QueryAsk,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum QueryAsk {
    /// What is in a folder: folders first, then by name.
    Folder {
        /// The whole snapshot id.
        snapshot: String,
        /// The folder as restic lists it; `/` for the top.
        path: String,
        /// Where the last page ended: its `next`.
        #[serde(default)]
        after: Option<String>,
        /// How many entries at most.
        limit: u32,
    },
    /// Where a name is. The snapshots one after the other in the order given, in each by path.
    Search {
        /// Whole snapshot ids, at least one.
        snapshots: Vec<String>,
        /// A glob with `*`, `?` and `[...]` for a whole name, or without them a part of one. With a `/` in it: for a whole path.
        pattern: String,
        /// Only in this folder and below; `/` for everywhere.
        #[serde(default = "top")]
        under: String,
        /// Capitals count; else they do not.
        #[serde(default)]
        match_case: bool,
        /// Where the last page ended: its `next`.
        #[serde(default)]
        after: Option<String>,
        /// How many entries at most.
        limit: u32,
    },
    /// One path in several snapshots, in the order given: an entry for each that has it.
    Versions {
        /// Whole snapshot ids, at least one.
        snapshots: Vec<String>,
        /// The path.
        path: String,
    },
    /// What differs between two snapshots.
    Changes(ChangesAsk),
    /// A kind that this version does not know; it answers so.
    #[serde(other)]
    Unknown,
}

fn top() -> String {
    "/".to_owned()
}

/// `POST /agent/v1/queries/{id}/answer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum QueryAnswer {
    /// Here it is.
    Ready(QueryPage),
    /// The answer to [`QueryAsk::Changes`].
    Changes(ChangesPage),
    /// The snapshot is being read for the first time; ask again in a moment. As long as somebody asks it goes on.
    Indexing(Indexing),
    /// It cannot be answered.
    Refused(Cause),
}

/// A page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct QueryPage {
    /// At most as many as asked for, and less than [`MAX_PAGE_BYTES`]. Each names its snapshot, unless it is a folder's. A folder's size is
    /// the sum of all below it; versions have none where they do not come from an index.
    pub entries: Vec<Entry>,
    /// Where it goes on, to be given back as `after`; none at the end. It means something only to the agent. A search may give a page with
    /// no entries that goes on: the next snapshot has to be read first.
    pub next: Option<String>,
    /// How many there are on all pages, where that is known without looking at them: in a folder, and of versions. Versions have no
    /// second page; the last ones are left out if they do not fit.
    pub total: Option<u64>,
}

/// How far the reading of a snapshot is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Indexing {
    /// Which snapshot.
    pub snapshot: String,
    /// Files and folders read so far.
    pub entries: u64,
    /// How many of the question's snapshots are still to be read, this one too.
    pub snapshots_left: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::job::CauseCode;

    /// Messages as the first version that had them sent them: they must be understood for ever.
    #[test]
    fn first_messages_still_decode() {
        let folder = r#"{"id":"0190a000-0000-7000-8000-000000000001","repository_id":"0190a000-0000-7000-8000-000000000002",
            "deadline":"2026-11-24T12:00:00.000000Z","ask":{"kind":"folder","snapshot":"ab","path":"/srv/a\nb","limit":10}}"#;
        let query: Query = serde_json::from_str(folder).expect("decodes");
        let want = QueryAsk::Folder { snapshot: "ab".into(), path: "/srv/a\nb".into(), after: None, limit: 10 };
        assert_eq!(query.ask, want);
        let newer: QueryAsk = serde_json::from_str(r#"{"kind":"from_the_future","x":1}"#).expect("decodes");
        assert_eq!(newer, QueryAsk::Unknown);
        for (text, want) in [
            (
                r#"{"answer":"indexing","snapshot":"ab","entries":7,"snapshots_left":1}"#,
                QueryAnswer::Indexing(Indexing { snapshot: "ab".into(), entries: 7, snapshots_left: 1 }),
            ),
            (
                r#"{"answer":"refused","code":"policy_forbids","message":"no"}"#,
                QueryAnswer::Refused(Cause { code: CauseCode::PolicyForbids, message: "no".into() }),
            ),
            (r#"{"answer":"ready","entries":[],"next":"c"}"#, {
                QueryAnswer::Ready(QueryPage { next: Some("c".into()), ..QueryPage::default() })
            }),
        ] {
            assert_eq!(serde_json::from_str::<QueryAnswer>(text).expect("decodes"), want);
        }
    }
}
