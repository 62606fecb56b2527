//! Changes between two snapshots, on disk: what one run of `restic diff` told, with the sizes that both trees know, in restic's order, in
//! which all that is below a folder stands together. Read from the front; a folder's page sums up what passes by.
//!
//! A row of blocks of records, then a table of where the blocks are, then a line that says where the table is, as a tree's file has it.

use super::format::{Parts, close, open, put, put_text, read_block, write_block};
use super::glob::Pattern;
use super::{Tree, TreeError};
use restic_manager_shared::restic::diff::{self, Said};
use restic_manager_shared::wire::changes::{ChangeItem, ChangeKind, ChangeSums};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

const MAGIC: &[u8; 8] = b"rm-diff1";
/// A block is written when it has so many bytes.
const BLOCK: usize = 64 * 1024;

/// Sizes of the files in a tree, for paths that come in restic's order: the folders above the last path are at hand.
struct Sizes {
    tree: Tree,
    above: Vec<(String, HashMap<String, u64>)>,
}

impl Sizes {
    fn of(&mut self, path: &str) -> Result<Option<u64>, TreeError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        while self.above.last().is_some_and(|(folder, _)| !holds(folder, parent)) {
            self.above.pop();
        }
        if self.above.last().is_none_or(|(folder, _)| folder != parent) {
            let listed = self.tree.list(parent, 0, |_| true)?;
            let files = listed.into_iter().flat_map(|(nodes, _)| nodes).filter(|n| !n.is_folder());
            let sizes = files.filter_map(|n| n.size.map(|size| (n.name, size))).collect();
            self.above.push((parent.to_owned(), sizes));
        }
        Ok(self.above.last().and_then(|(_, sizes)| sizes.get(name).copied()))
    }
}

/// Whether a folder, without a slash at its end, is this path or above it.
fn holds(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Writes changes down as they come.
pub struct Noting<W> {
    out: W,
    at: u64,
    block: Vec<u8>,
    held: u64,
    table: Vec<u8>,
    blocks: u64,
    sizes: [Sizes; 2],
    /// How many there are.
    pub changes: u64,
    /// restic has told all.
    pub ended: bool,
}

impl<W: Write> Noting<W> {
    /// Begins, with the older and the newer tree.
    pub const fn new(out: W, older: Tree, newer: Tree) -> Self {
        let sizes = [Sizes { tree: older, above: Vec::new() }, Sizes { tree: newer, above: Vec::new() }];
        Self { out, at: 0, block: Vec::new(), held: 0, table: Vec::new(), blocks: 0, sizes, changes: 0, ended: false }
    }

    /// Takes a line of restic's; false if it is no change.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn line(&mut self, line: &str) -> Result<bool, TreeError> {
        match diff::read(line) {
            Some(Said::Change(change)) => self.change(&change.path, &change.modifier).map(|()| true),
            Some(Said::Figures(_)) => {
                self.ended = true;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    /// Takes a change as restic tells it: folders end in a slash.
    ///
    /// # Errors
    /// When the disk refuses, or a tree is damaged.
    pub fn change(&mut self, path: &str, modifier: &str) -> Result<(), TreeError> {
        let kind = ChangeKind::of_modifier(modifier);
        let whole = path.trim_end_matches('/');
        let folder = whole.len() < path.len();
        let [older, newer] = &mut self.sizes;
        let before = if kind == ChangeKind::Added { None } else { older.of(whole)? };
        let after = if folder || kind == ChangeKind::Removed { None } else { newer.of(whole)? };
        let has = u64::from(folder) | u64::from(before.is_some()) << 1 | u64::from(after.is_some()) << 2;
        put(&mut self.block, number(kind) << 3 | has);
        put_text(&mut self.block, whole);
        for size in [before, after].into_iter().flatten() {
            put(&mut self.block, size);
        }
        self.held += 1;
        self.changes += 1;
        if self.block.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TreeError> {
        put(&mut self.table, self.at);
        put(&mut self.table, self.held);
        self.blocks += 1;
        self.at += write_block(&mut self.out, &self.block)?;
        self.block.clear();
        self.held = 0;
        Ok(())
    }

    /// Ends it; before that nothing of it counts.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<(), TreeError> {
        self.flush()?;
        let mut contents = Vec::new();
        put(&mut contents, self.blocks);
        contents.append(&mut self.table);
        close(&mut self.out, &contents, self.at, MAGIC)
    }
}

const fn number(kind: ChangeKind) -> u64 {
    match kind {
        ChangeKind::Added => 0,
        ChangeKind::Removed => 1,
        ChangeKind::Changed => 2,
        ChangeKind::Metadata => 3,
    }
}

fn take(parts: &mut Parts<'_>) -> Result<ChangeItem, TreeError> {
    let head = parts.number()?;
    let change = ChangeKind::ALL.into_iter().find(|kind| number(*kind) == head >> 3).ok_or(TreeError::Damaged)?;
    let path = parts.text()?.to_owned();
    let before = if head & 2 == 2 { Some(parts.number()?) } else { None };
    let after = if head & 4 == 4 { Some(parts.number()?) } else { None };
    Ok(ChangeItem { path, change: Some(change), folder: head & 1 == 1, before, after, below: None })
}

/// Which changes are looked for.
pub struct Wanted {
    /// The folder, without a slash at its end: empty for the top.
    pub under: String,
    /// What they are called, if not anything.
    pub pattern: Option<Pattern>,
    /// Only these; all if empty.
    pub kinds: Vec<ChangeKind>,
}

impl Wanted {
    fn fits(&self, item: &ChangeItem) -> bool {
        let name = item.path.rsplit('/').next().unwrap_or_default();
        item.change.is_some_and(|kind| self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.pattern.as_ref().is_none_or(|p| p.matches(name, &item.path))
    }
}

/// Where a list goes on: the number of a block and of a record in it.
pub type Place = (u64, u64);

/// Finished changes.
#[derive(Debug)]
pub struct Changes {
    file: Mutex<File>,
    blocks: Vec<(u64, u64)>,
}

impl Changes {
    /// Opens a file.
    ///
    /// # Errors
    /// [`TreeError::Damaged`] if it is not finished.
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let (file, payload) = open(path, MAGIC)?;
        let mut parts = Parts(&payload);
        let mut blocks = Vec::new();
        for _ in 0..parts.number()? {
            blocks.push((parts.number()?, parts.number()?));
        }
        Ok(Self { file: Mutex::new(file), blocks })
    }

    /// Gives each change below a folder from a place on until told to stop; what is told then is the answer.
    fn each<B>(
        &self,
        under: &str,
        from: Place,
        mut see: impl FnMut(Place, ChangeItem) -> ControlFlow<B>,
    ) -> Result<Option<B>, TreeError> {
        let mut inside = false;
        for (n, (at, count)) in (0..).zip(&self.blocks).skip_while(|(n, _)| *n < from.0) {
            let block = read_block(&mut *self.file.lock().unwrap_or_else(PoisonError::into_inner), *at)?;
            let mut parts = Parts(&block);
            for k in 0..*count {
                let item = take(&mut parts)?;
                // A change of the folder itself is none in it.
                let below = item.path.len() > under.len() && holds(under, &item.path);
                if inside && !below {
                    return Ok(None);
                }
                inside |= below;
                if below
                    && (n > from.0 || k >= from.1)
                    && let ControlFlow::Break(stop) = see((n, k), item)
                {
                    return Ok(Some(stop));
                }
            }
        }
        Ok(None)
    }

    /// All that changed below a folder.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn sums(&self, under: &str) -> Result<ChangeSums, TreeError> {
        let mut sums = ChangeSums::default();
        self.each::<()>(under, (0, 0), |_, item| {
            item.change.iter().for_each(|kind| sums.count(*kind, item.before, item.after));
            ControlFlow::Continue(())
        })?;
        Ok(sums)
    }

    /// Changes one by one from a place on, until there is no room for the next: its place is the answer.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn flat(
        &self,
        wanted: &Wanted,
        from: Place,
        mut room: impl FnMut(&str) -> bool,
    ) -> Result<(Vec<ChangeItem>, Option<Place>), TreeError> {
        let mut items = Vec::new();
        let next = self.each(&wanted.under, from, |place, item| {
            if wanted.fits(&item) {
                if !room(&item.path) {
                    return ControlFlow::Break(place);
                }
                items.push(item);
            }
            ControlFlow::Continue(())
        })?;
        Ok((items, next))
    }

    /// What stands in a folder, each with all that changed below it; folders first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn folder(&self, wanted: &Wanted) -> Result<Vec<ChangeItem>, TreeError> {
        let mut children: BTreeMap<String, ChangeItem> = BTreeMap::new();
        self.each::<()>(&wanted.under, (0, 0), |_, item| {
            if wanted.fits(&item) {
                add(&mut children, &wanted.under, item);
            }
            ControlFlow::Continue(())
        })?;
        let (folders, files): (Vec<_>, Vec<_>) = children.into_values().partition(|item| item.folder);
        Ok([folders, files].concat())
    }
}

/// Adds a change to the child of the folder that it is, or that it is below.
fn add(children: &mut BTreeMap<String, ChangeItem>, under: &str, item: ChangeItem) {
    let rest = &item.path[under.len() + 1..];
    let (name, deep) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
    let path = format!("{under}/{name}");
    let fresh = || ChangeItem { path, change: None, folder: deep, before: None, after: None, below: None };
    let child = children.entry(name.to_owned()).or_insert_with(fresh);
    if deep {
        child.folder = true;
        let below = child.below.get_or_insert_with(ChangeSums::default);
        item.change.iter().for_each(|kind| below.count(*kind, item.before, item.after));
    } else {
        *child = ChangeItem { below: child.below, folder: item.folder || child.folder, ..item };
    }
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
