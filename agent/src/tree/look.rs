//! Reading a tree: a page of a folder, one entry, a search that can be gone on with.

use super::format::{MAGIC, Parts, open, read_block, take_item};
use super::glob::Pattern;
use super::{Attr, Node, TreeError};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A finished tree.
#[derive(Debug)]
pub struct Tree {
    file: Mutex<File>,
    root: u64,
    attrs: Vec<Attr>,
    /// Files and folders.
    pub entries: u64,
    /// What is no folder.
    pub files: u64,
}

/// A folder's own block.
#[derive(Debug)]
struct Folder {
    /// Where more entries are, in order: place and number.
    runs: [Vec<(u64, u64)>; 2],
    totals: [u64; 2],
    block: Vec<u8>,
    /// Where in the block the entries begin.
    inline: usize,
}

/// What a search found.
pub struct Found {
    /// Whole paths with what is there.
    pub hits: Vec<(String, Node)>,
    /// Where it goes on; none at the end.
    pub next: Option<Vec<u64>>,
}

impl Tree {
    /// Opens a file.
    ///
    /// # Errors
    /// [`TreeError::Damaged`] if it is not a finished tree.
    pub fn open(path: &Path) -> Result<Self, TreeError> {
        let (file, payload) = open(path, MAGIC)?;
        let mut parts = Parts(&payload);
        let (root, entries, files, count) = (parts.number()?, parts.number()?, parts.number()?, parts.number()?);
        let mut attrs = Vec::new();
        for _ in 0..count {
            attrs.push((parts.text()?.into(), parts.text()?.into()));
        }
        Ok(Self { file: Mutex::new(file), root, attrs, entries, files })
    }

    fn block(&self, at: u64) -> Result<Vec<u8>, TreeError> {
        read_block(&mut *self.file.lock().unwrap_or_else(PoisonError::into_inner), at)
    }

    fn folder_at(&self, at: u64) -> Result<Folder, TreeError> {
        let block = self.block(at)?;
        let mut parts = Parts(&block);
        let (mut runs, mut totals) = ([Vec::new(), Vec::new()], [0, 0]);
        for (run, total) in runs.iter_mut().zip(&mut totals) {
            *total = parts.number()?;
            for _ in 0..parts.number()? {
                run.push((parts.number()?, parts.number()?));
            }
        }
        let inline = block.len() - parts.0.len();
        Ok(Folder { runs, totals, block, inline })
    }

    /// Gives each entry from number `from` on, folders first, until told to stop.
    fn each<B>(
        &self,
        folder: &Folder,
        from: u64,
        mut see: impl FnMut(u64, Node) -> Result<ControlFlow<B>, TreeError>,
    ) -> Result<Option<B>, TreeError> {
        let mut inline = Parts(folder.block.get(folder.inline..).unwrap_or_default());
        let mut number = 0;
        for runs in &folder.runs {
            for (at, count) in runs {
                if number + count <= from {
                    number += count;
                    continue;
                }
                let block = self.block(*at)?;
                if let Some(stop) = self.some(&mut Parts(&block), *count, from, &mut number, &mut see)? {
                    return Ok(Some(stop));
                }
            }
            let held = inline.number()?;
            if let Some(stop) = self.some(&mut inline, held, from, &mut number, &mut see)? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    fn some<B>(
        &self,
        parts: &mut Parts<'_>,
        count: u64,
        from: u64,
        number: &mut u64,
        see: &mut impl FnMut(u64, Node) -> Result<ControlFlow<B>, TreeError>,
    ) -> Result<Option<B>, TreeError> {
        let mut last = 0;
        for _ in 0..count {
            let node = take_item(parts, &self.attrs, &mut last)?;
            let mine = *number;
            *number += 1;
            if mine >= from
                && let ControlFlow::Break(stop) = see(mine, node)?
            {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// One entry by its whole path; none if it is not there. The top has no entry.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn entry(&self, path: &str) -> Result<Option<Node>, TreeError> {
        let mut at = self.root;
        let mut found = None;
        for part in path.split('/').filter(|p| !p.is_empty()) {
            if found.as_ref().is_some_and(|node: &Node| !node.is_folder()) {
                return Ok(None);
            }
            let folder = self.folder_at(at)?;
            let is_it = |_, node: Node| {
                Ok(if node.name == part { ControlFlow::Break(node) } else { ControlFlow::Continue(()) })
            };
            let Some(node) = self.each(&folder, 0, is_it)? else { return Ok(None) };
            at = node.folder.unwrap_or(at);
            found = Some(node);
        }
        Ok(found)
    }

    fn folder(&self, path: &str) -> Result<Option<Folder>, TreeError> {
        let at =
            if path.trim_matches('/').is_empty() { Some(self.root) } else { self.entry(path)?.and_then(|n| n.folder) };
        at.map(|at| self.folder_at(at)).transpose()
    }

    /// Entries of a folder from number `from` on while `take` wants them, and how many there are in all. None if there is no such folder.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn list(
        &self,
        path: &str,
        from: u64,
        mut take: impl FnMut(&Node) -> bool,
    ) -> Result<Option<(Vec<Node>, u64)>, TreeError> {
        let Some(folder) = self.folder(path)? else { return Ok(None) };
        let mut nodes = Vec::new();
        self.each(&folder, from, |_, node| {
            if !take(&node) {
                return Ok(ControlFlow::Break(()));
            }
            nodes.push(node);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Some((nodes, folder.totals.iter().sum())))
    }

    /// Looks for names in a folder and below, from after the place `after` on, until `full` says that it is enough. None if there is no
    /// such folder.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn search(
        &self,
        under: &str,
        pattern: &Pattern,
        after: &[u64],
        full: impl FnMut(&str) -> bool,
    ) -> Result<Option<Found>, TreeError> {
        let top = format!("/{}", under.trim_matches('/'));
        let Some(folder) = self.folder(under)? else { return Ok(None) };
        let mut walk = Walk { tree: self, pattern, hits: Vec::new(), trail: Vec::new(), full };
        let stopped = walk.down(&folder, top.trim_end_matches('/'), after)?;
        let next = stopped.then_some(walk.trail);
        Ok(Some(Found { hits: walk.hits, next }))
    }

    /// Gives every entry that is no folder, with its whole path.
    ///
    /// # Errors
    /// [`TreeError`].
    pub fn files(&self, mut see: impl FnMut(&str, &Node)) -> Result<(), TreeError> {
        let root = self.folder_at(self.root)?;
        self.all_files(&root, "", &mut see)
    }

    fn all_files(&self, folder: &Folder, path: &str, see: &mut impl FnMut(&str, &Node)) -> Result<(), TreeError> {
        self.each::<()>(folder, 0, |_, node| {
            let whole = format!("{path}/{}", node.name);
            match node.folder {
                Some(at) => self.all_files(&self.folder_at(at)?, &whole, see)?,
                None => see(&whole, &node),
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }
}

fn join(path: &str, name: &str) -> String {
    format!("{path}/{name}")
}

struct Walk<'a, F> {
    tree: &'a Tree,
    pattern: &'a Pattern,
    hits: Vec<(String, Node)>,
    /// The numbers of the entries from the top to the last hit.
    trail: Vec<u64>,
    full: F,
}

impl<F: FnMut(&str) -> bool> Walk<'_, F> {
    /// True if it stopped because it is enough; then the trail leads to the last hit.
    fn down(&mut self, folder: &Folder, path: &str, after: &[u64]) -> Result<bool, TreeError> {
        let tree = self.tree;
        let (from, deeper) = after.split_first().map_or((0, None), |(first, rest)| (*first, Some(rest)));
        let stopped = tree.each(folder, from, |number, node| {
            // The entry to go on after was told, or is around the one that was.
            let seen = deeper.filter(|_| number == from);
            let at = node.folder;
            let whole = (at.is_some() || self.pattern.is_for_paths()).then(|| join(path, &node.name));
            self.trail.push(number);
            if seen.is_none() && self.pattern.matches(&node.name, whole.as_deref().unwrap_or_default()) {
                let whole = whole.clone().unwrap_or_else(|| join(path, &node.name));
                let enough = (self.full)(&whole);
                self.hits.push((whole, node));
                if enough {
                    return Ok(ControlFlow::Break(()));
                }
            }
            if let (Some(at), Some(whole)) = (at, whole)
                && self.down(&tree.folder_at(at)?, &whole, seen.unwrap_or_default())?
            {
                return Ok(ControlFlow::Break(()));
            }
            self.trail.pop();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stopped.is_some())
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
pub(super) mod tests;
