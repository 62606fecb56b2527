//! How a tree lies on disk: numbers of as many bytes as they need, and blocks with a checksum.

use super::{Attr, Node, TreeError};
use ring::digest::{SHA256, digest};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

/// At the very end of a finished file.
pub(super) const MAGIC: &[u8; 8] = b"rm-tree1";
/// Where the table of contents is, and the magic.
const TRAILER: u64 = 16;
/// A block's length and checksum.
const HEAD: usize = 12;
/// No block is longer; what says so is damaged.
const LONGEST: u32 = 64 * 1024 * 1024;

pub(super) fn put(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[allow(clippy::cast_sign_loss)] // the bits are kept, the sign is folded into the lowest
const fn fold(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

#[allow(clippy::cast_possible_wrap)]
const fn unfold(n: u64) -> i64 {
    ((n >> 1) as i64) ^ -((n & 1) as i64)
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what was put.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl<'a> Parts<'a> {
    pub(super) fn number(&mut self) -> Result<u64, TreeError> {
        let mut n = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(TreeError::Damaged)?;
            self.0 = rest;
            n |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(TreeError::Damaged)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, TreeError> {
        let length = usize::try_from(self.number()?).map_err(|_| TreeError::Damaged)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(TreeError::Damaged)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| TreeError::Damaged)
    }
}

/// What is put of an entry; kind and permissions by their place in the table of contents.
pub(super) struct Item<'a> {
    pub(super) name: &'a str,
    pub(super) attr: u64,
    pub(super) size: Option<u64>,
    pub(super) mtime: Option<i64>,
    pub(super) folder: Option<u64>,
}

/// Puts an entry; `last` is the time of the one before it in the same block.
pub(super) fn put_item(out: &mut Vec<u8>, item: &Item<'_>, last: &mut i64) {
    let has =
        u64::from(item.mtime.is_some()) | u64::from(item.size.is_some()) << 1 | u64::from(item.folder.is_some()) << 2;
    put(out, item.attr << 3 | has);
    put_text(out, item.name);
    if let Some(mtime) = item.mtime {
        put(out, fold(mtime.wrapping_sub(*last)));
        *last = mtime;
    }
    if let Some(size) = item.size {
        put(out, size);
    }
    if let Some(folder) = item.folder {
        put(out, folder);
    }
}

/// Takes an entry that was put.
pub(super) fn take_item(parts: &mut Parts<'_>, attrs: &[Attr], last: &mut i64) -> Result<Node, TreeError> {
    let head = parts.number()?;
    let attr = usize::try_from(head >> 3).ok().and_then(|n| attrs.get(n)).ok_or(TreeError::Damaged)?;
    let name = parts.text()?.to_owned();
    let mtime = if head & 1 == 1 {
        *last = last.wrapping_add(unfold(parts.number()?));
        Some(restic_manager_shared::time::Timestamp::from_micros(*last))
    } else {
        None
    };
    let size = if head & 2 == 2 { Some(parts.number()?) } else { None };
    let folder = if head & 4 == 4 { Some(parts.number()?) } else { None };
    Ok(Node { name, kind: Arc::clone(&attr.0), permissions: Arc::clone(&attr.1), size, mtime, folder })
}

fn sum(payload: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    short.iter_mut().zip(digest(&SHA256, payload).as_ref()).for_each(|(s, d)| *s = *d);
    short
}

/// Writes a block; gives its length on disk.
pub(super) fn write_block(out: &mut impl Write, payload: &[u8]) -> Result<u64, TreeError> {
    let length = u32::try_from(payload.len()).ok().filter(|n| *n <= LONGEST).ok_or(TreeError::Damaged)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(&sum(payload))?;
    out.write_all(payload)?;
    Ok(HEAD as u64 + u64::from(length))
}

/// Reads the block at a place.
pub(super) fn read_block(file: &mut (impl Read + Seek), at: u64) -> Result<Vec<u8>, TreeError> {
    let torn =
        |e: std::io::Error| if e.kind() == std::io::ErrorKind::UnexpectedEof { TreeError::Damaged } else { e.into() };
    file.seek(SeekFrom::Start(at))?;
    let (mut length, mut want) = ([0; 4], [0; 8]);
    file.read_exact(&mut length).map_err(torn)?;
    file.read_exact(&mut want).map_err(torn)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(TreeError::Damaged);
    }
    let mut payload = Vec::new();
    let read = file.take(u64::from(length)).read_to_end(&mut payload)?;
    if read == length as usize && sum(&payload) == want { Ok(payload) } else { Err(TreeError::Damaged) }
}

/// Ends a file of that kind: the table of contents, which is written at `at`, and the last line that points to it.
pub(super) fn close(out: &mut impl Write, contents: &[u8], at: u64, kind: &[u8; 8]) -> Result<(), TreeError> {
    write_block(out, contents)?;
    out.write_all(&at.to_le_bytes())?;
    out.write_all(kind)?;
    Ok(out.flush()?)
}

/// Opens a finished file of that kind and reads its table of contents, which the last line points to.
pub(super) fn open(path: &Path, kind: &[u8; 8]) -> Result<(File, Vec<u8>), TreeError> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len().checked_sub(TRAILER).ok_or(TreeError::Damaged)?;
    file.seek(SeekFrom::Start(end))?;
    let (mut at, mut magic) = ([0; 8], [0; 8]);
    file.read_exact(&mut at)?;
    file.read_exact(&mut magic)?;
    if &magic != kind {
        return Err(TreeError::Damaged);
    }
    let contents = read_block(&mut file, u64::from_le_bytes(at))?;
    Ok((file, contents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_entries_come_back() {
        for n in [0, 1, 127, 128, 300, u64::MAX] {
            let mut out = Vec::new();
            put(&mut out, n);
            assert_eq!(Parts(&out).number().expect("a number"), n);
        }
        for n in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unfold(fold(n)), n);
        }
        let attrs = [("file".into(), "-rw".into())];
        let (mut out, mut last) = (Vec::new(), 0);
        put_item(&mut out, &Item { name: "a\nb", attr: 0, size: Some(7), mtime: Some(-5), folder: None }, &mut last);
        let node = take_item(&mut Parts(&out), &attrs, &mut 0).expect("an entry");
        assert_eq!((node.name.as_str(), node.size, node.mtime.map(|t| t.micros())), ("a\nb", Some(7), Some(-5)));
    }

    #[test]
    fn a_block_that_was_touched_is_found_out() {
        let mut out = Vec::new();
        write_block(&mut out, b"payload").expect("writes");
        assert_eq!(read_block(&mut std::io::Cursor::new(&out), 0).expect("reads"), b"payload");
        for n in 0..out.len() {
            let mut bad = out.clone();
            bad[n] ^= 1;
            assert!(read_block(&mut std::io::Cursor::new(&bad), 0).is_err(), "byte {n}");
            assert!(read_block(&mut std::io::Cursor::new(&out[..n]), 0).is_err(), "cut at {n}");
        }
    }
}
