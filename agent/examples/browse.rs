//! What it costs to make and to read the index of a snapshot. Not a test: nothing here passes or fails.
//!
//! `restic ls --json SNAPSHOT | browse FILE` measures on a real listing, `browse make 1000000 | browse FILE` on one of so many files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // measuring needs a clock

use agent::tree::Tree;
use agent::tree::glob::Pattern;
use agent::tree::grow::Growing;
use std::io::{BufRead as _, BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

/// Files in one folder of a made listing.
const IN_FOLDER: u64 = 200;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", n] => make(n.parse().expect("a number")),
        [file] => measure(Path::new(file)),
        _ => eprintln!("browse make N | browse FILE"),
    }
}

fn make(files: u64) {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut node = |path: &str, kind: &str, size: Option<u64>| {
        let name = path.rsplit('/').next().unwrap();
        let size = size.map(|n| format!(r#","size":{n}"#)).unwrap_or_default();
        writeln!(
            out,
            r#"{{"name":"{name}","type":"{kind}","path":"{path}","uid":0,"gid":0{size},"mode":420,"permissions":"-rw-r--r--","mtime":"2026-11-04T02:00:{:02}.{:09}Z","atime":"2026-11-04T02:00:00Z","ctime":"2026-11-04T02:00:00Z","inode":12345678,"message_type":"node","struct_type":"node"}}"#,
            path.len() % 60,
            path.bytes().map(u64::from).sum::<u64>() * 7919,
        )
        .unwrap();
    };
    node("/srv", "dir", None);
    for folder in 0..files.div_ceil(IN_FOLDER) {
        let folder_path = format!("/srv/project-{folder:06}");
        node(&folder_path, "dir", None);
        for file in 0..IN_FOLDER.min(files - folder * IN_FOLDER) {
            node(&format!("{folder_path}/document number {file:05}.txt"), "file", Some(file * 4099));
        }
    }
}

/// KiB that this process had at most.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn measure(file: &Path) {
    let began = Instant::now();
    let mut growing = Growing::new(BufWriter::with_capacity(256 * 1024, std::fs::File::create(file).expect("creates")));
    for line in std::io::stdin().lock().lines() {
        growing.line(&line.expect("reads")).expect("takes");
    }
    growing.finish().expect("finishes");
    let made = began.elapsed();
    let tree = Tree::open(file).expect("opens");
    let bytes = file.metadata().expect("there").len();
    let (entries, peak) = (tree.entries, peak());
    println!(
        "made {entries} entries in {:.2} s, {} bytes each, peak RSS {peak} KiB",
        made.as_secs_f64(),
        bytes / entries
    );
    // The way down to the first folder that has files.
    let mut path = String::new();
    loop {
        let began = Instant::now();
        let opened = Tree::open(file).expect("opens");
        let mut room = 1000;
        let (page, total) = opened
            .list(&path, 0, |_| {
                room -= 1;
                room >= 0
            })
            .expect("reads")
            .expect("a folder");
        println!("a page of {} of {total} in {:?}: {:.2} ms", page.len(), path, began.elapsed().as_secs_f64() * 1000.0);
        match page.into_iter().next().filter(agent::tree::Node::is_folder) {
            Some(node) => path = format!("{path}/{}", node.name),
            None => break,
        }
    }
    let began = Instant::now();
    let found = tree.search("/", &Pattern::new("nowhere-to-be-found", false), &[], |_| false).expect("reads");
    let hits = found.map_or(0, |f| f.hits.len());
    println!("a search through everything, {hits} hits: {:.0} ms", began.elapsed().as_secs_f64() * 1000.0);
}
