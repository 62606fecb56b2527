//! Making a tree from restic's listing, line by line. What is held in memory are the folders from the top down to the current one, each
//! with a bounded part of its entries; the rest is on disk already.

use super::TreeError;
use super::format::{Item, MAGIC, close, put, put_item, put_text, write_block};
use restic_manager_shared::time::Timestamp;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

/// More bytes of a folder's entries than this go to disk.
const RUN: usize = 64 * 1024;
/// More different kinds with permissions than this nobody has; what is beyond is told as the first.
const MOST_ATTRS: usize = 4096;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    struct_type: Cow<'a, str>,
    #[serde(borrow)]
    message_type: Cow<'a, str>,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    permissions: Cow<'a, str>,
    #[serde(borrow)]
    mtime: Cow<'a, str>,
    size: Option<u64>,
}

/// Entries of one folder, of which a part may be on disk already.
#[derive(Default)]
struct Run {
    buffer: Vec<u8>,
    held: u64,
    last: i64,
    /// Place and number of entries of what is on disk.
    written: Vec<(u64, u64)>,
    total: u64,
}

#[derive(Default)]
struct Open {
    path: String,
    attr: u64,
    mtime: Option<i64>,
    bytes: u64,
    folders: Run,
    files: Run,
}

/// A tree that is being made.
pub struct Growing<W: Write> {
    out: W,
    at: u64,
    open: Vec<Open>,
    attrs: HashMap<String, u64>,
    table: Vec<(String, String)>,
    /// Files and folders so far.
    pub entries: u64,
    files: u64,
    /// Whether restic named the snapshot, which comes first.
    pub begun: bool,
}

impl<W: Write> Growing<W> {
    /// Begins.
    pub fn new(out: W) -> Self {
        let table = vec![(String::new(), String::new())];
        let open = vec![Open::default()];
        Self { out, at: 0, open, attrs: HashMap::new(), table, entries: 0, files: 0, begun: false }
    }

    /// Takes a line; what is no entry is passed over.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn line(&mut self, text: &str) -> Result<(), TreeError> {
        let Ok(line) = serde_json::from_str::<Line<'_>>(text) else { return Ok(()) };
        if line.struct_type == "snapshot" || line.message_type == "snapshot" {
            self.begun = true;
        } else if line.struct_type == "node" || line.message_type == "node" {
            self.node(&line)?;
        }
        Ok(())
    }

    fn node(&mut self, line: &Line<'_>) -> Result<(), TreeError> {
        let Some((parent, name)) = line.path.trim_end_matches('/').rsplit_once('/') else { return Ok(()) };
        self.go_to(parent)?;
        let attr = self.attr(&line.kind, &line.permissions);
        let mtime = Timestamp::parse(&line.mtime).ok().map(Timestamp::micros);
        self.entries += 1;
        if line.kind == "dir" {
            let path = line.path.trim_end_matches('/').to_owned();
            self.open.push(Open { path, attr, mtime, ..Open::default() });
            return Ok(());
        }
        self.files += 1;
        let Some(folder) = self.open.last_mut() else { return Ok(()) };
        folder.bytes = folder.bytes.saturating_add(line.size.unwrap_or(0));
        let item = Item { name, attr, size: line.size, mtime, folder: None };
        folder.files.add(&item, &mut self.out, &mut self.at)
    }

    /// Closes what the next entry is not in, and opens what restic did not list on the way to it.
    fn go_to(&mut self, parent: &str) -> Result<(), TreeError> {
        let is_on_the_way =
            |top: &str| parent.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        while self.open.len() > 1 && self.open.last().is_some_and(|top| !is_on_the_way(&top.path)) {
            self.close()?;
        }
        let mut top = self.open.last().map_or(String::new(), |top| top.path.clone());
        let missing: Vec<&str> =
            parent.strip_prefix(top.as_str()).unwrap_or("").split('/').filter(|p| !p.is_empty()).collect();
        for part in missing {
            top = format!("{top}/{part}");
            let attr = self.attr("dir", "");
            self.entries += 1;
            self.open.push(Open { path: top.clone(), attr, ..Open::default() });
        }
        Ok(())
    }

    fn attr(&mut self, kind: &str, permissions: &str) -> u64 {
        let key = format!("{kind} {permissions}");
        if let Some(known) = self.attrs.get(&key) {
            return *known;
        }
        if self.table.len() >= MOST_ATTRS {
            return 0;
        }
        let fresh = self.table.len() as u64;
        self.table.push((kind.to_owned(), permissions.to_owned()));
        self.attrs.insert(key, fresh);
        fresh
    }

    /// Writes the innermost folder's own block, and adds the folder to the one around it.
    fn close(&mut self) -> Result<u64, TreeError> {
        let Some(folder) = self.open.pop() else { return Err(TreeError::Damaged) };
        let mut payload = Vec::new();
        for run in [&folder.folders, &folder.files] {
            put(&mut payload, run.total);
            put(&mut payload, run.written.len() as u64);
            for (at, count) in &run.written {
                put(&mut payload, *at);
                put(&mut payload, *count);
            }
        }
        for run in [&folder.folders, &folder.files] {
            put(&mut payload, run.held);
            payload.extend_from_slice(&run.buffer);
        }
        let at = self.at;
        self.at += write_block(&mut self.out, &payload)?;
        if let Some(around) = self.open.last_mut() {
            around.bytes = around.bytes.saturating_add(folder.bytes);
            let name = folder.path.rsplit('/').next().unwrap_or_default();
            let item =
                Item { name, attr: folder.attr, size: Some(folder.bytes), mtime: folder.mtime, folder: Some(at) };
            around.folders.add(&item, &mut self.out, &mut self.at)?;
        }
        Ok(at)
    }

    /// Writes the rest and gives what was written to.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<W, TreeError> {
        let mut root = 0;
        while !self.open.is_empty() {
            root = self.close()?;
        }
        let mut payload = Vec::new();
        for n in [root, self.entries, self.files, self.table.len() as u64] {
            put(&mut payload, n);
        }
        for (kind, permissions) in &self.table {
            put_text(&mut payload, kind);
            put_text(&mut payload, permissions);
        }
        close(&mut self.out, &payload, self.at, MAGIC)?;
        Ok(self.out)
    }
}

impl Run {
    fn add(&mut self, item: &Item<'_>, out: &mut impl Write, at: &mut u64) -> Result<(), TreeError> {
        put_item(&mut self.buffer, item, &mut self.last);
        self.held += 1;
        self.total += 1;
        if self.buffer.len() < RUN {
            return Ok(());
        }
        self.written.push((*at, self.held));
        *at += write_block(out, &self.buffer)?;
        self.buffer.clear();
        (self.held, self.last) = (0, 0);
        Ok(())
    }
}
