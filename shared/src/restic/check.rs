//! What `check` finds, read from the text that it prints. Its JSON mode says nothing while it works, for hours; its text says both how far
//! it is and, line by line, what is broken. Whether anything is, its exit status says.

use super::snapshot::is_whole_id;
use std::collections::BTreeSet;

/// The most messages that are kept.
const MAX_MESSAGES: usize = 100;
/// The most packs that are kept.
const MAX_PACKS: usize = 1_000;

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings {
    /// How many errors were told.
    pub errors: u64,
    /// The first of them, in restic's words.
    pub messages: Vec<String>,
    /// Packs that are damaged.
    pub damaged_packs: BTreeSet<String>,
    /// Packs that are not there.
    pub missing_packs: BTreeSet<String>,
    /// Snapshots that cannot be read, by the beginnings of their ids.
    pub snapshots: BTreeSet<String>,
    /// restic advises `repair index`.
    pub suggest_repair_index: bool,
    /// restic advises `prune`.
    pub suggest_prune: bool,
}

/// Beginnings of lines that advise, explain, or tell of the run itself.
const NO_ERRORS: &[&str] = &[
    "Fatal:",
    "The repository ",
    "restic repair",
    "Damaged pack files",
    "This is non-critical",
    "Duplicate packs",
    "Mixed packs",
    "Load(",
    "List(",
    "signal interrupt",
    "using temporary cache",
    "unable to open cache",
    "create exclusive lock",
];

impl Findings {
    /// Hears a line of either stream that is no progress. What advises is said on both, by version.
    pub fn advice(&mut self, line: &str) {
        self.suggest_repair_index |= line.contains("restic repair index") || line.contains("restic rebuild-index");
        self.suggest_prune |= line.contains("restic prune");
    }

    /// Hears a line of standard error.
    pub fn error(&mut self, line: &str) {
        self.advice(line);
        let text = line.trim();
        if text.is_empty() || is_passing(text) || NO_ERRORS.iter().any(|b| text.starts_with(b)) {
            self.packs_to_repair(text);
            return;
        }
        // What is set back belongs to the error before it.
        if !line.starts_with(' ') {
            self.errors += 1;
        }
        if self.messages.len() < MAX_MESSAGES {
            self.messages.push(text.to_owned());
        }
        self.pack(text);
        self.snapshot(text);
    }

    /// `restic repair packs ID...`
    fn packs_to_repair(&mut self, text: &str) {
        let Some(ids) = text.strip_prefix("restic repair packs ") else { return };
        for id in ids.split_whitespace().filter(|i| is_whole_id(i)) {
            put(&mut self.damaged_packs, id);
        }
    }

    /// `pack ID contains 2 errors: ...`, `pack ID: does not exist`, of 0.14 `Pack ID does not match, want ID, got ID`.
    fn pack(&mut self, text: &str) {
        if let Some(rest) = text.strip_prefix("Pack ID does not match, want ") {
            whole_id(rest).into_iter().for_each(|id| put(&mut self.damaged_packs, id));
        } else if let Some(id) = text.strip_prefix("pack ").and_then(whole_id) {
            let gone = text.contains("does not exist");
            put(if gone { &mut self.missing_packs } else { &mut self.damaged_packs }, id);
        }
    }

    /// `error: failed to load snapshot b3fa2e15: ...`, of 0.14 `error: load <snapshot/80faaf9ddd>: ...`.
    fn snapshot(&mut self, text: &str) {
        let rest = text
            .split_once("failed to load snapshot ")
            .or_else(|| text.split_once("load <snapshot/"))
            .map(|(_, rest)| rest);
        let id = rest.map(|r| r.chars().take_while(char::is_ascii_hexdigit).collect::<String>());
        id.filter(|i| i.len() >= 8).into_iter().for_each(|i| put(&mut self.snapshots, &i));
    }
}

/// Trouble of the way to the storage, which restic overcame or ends with.
fn is_passing(text: &str) -> bool {
    text.contains("returned error, retrying after") || text.contains("operation successful after")
}

fn whole_id(text: &str) -> Option<&str> {
    text.get(..64).filter(|id| is_whole_id(id))
}

fn put(set: &mut BTreeSet<String>, id: &str) {
    if set.len() < MAX_PACKS {
        set.insert(id.to_owned());
    }
}
