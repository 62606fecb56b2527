//! A small disk for one folder, to be filled and freed while a program works in it. It takes a mount, and so the right to mount.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A mounted disk; gone when dropped.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Puts a folder and all that is in it on a disk of so many KiB. None, and said why, where mounting is not allowed.
    #[must_use]
    pub fn under(folder: &Path, kib: u32) -> Option<Self> {
        let aside = folder.with_extension("aside");
        std::fs::rename(folder, &aside).unwrap();
        std::fs::create_dir(folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=700"), "tmpfs"]).arg(folder);
        let mounted = mount.stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if mounted {
            let mut copy = Command::new("cp");
            assert!(copy.arg("-a").arg(aside.join(".")).arg(folder).status().unwrap().success());
            std::fs::remove_dir_all(aside).unwrap();
            return Some(Self { at: folder.to_owned() });
        }
        std::fs::remove_dir(folder).unwrap();
        std::fs::rename(aside, folder).unwrap();
        eprintln!("no full disk is tried here: mounting one takes root, and a container that allows it");
        None
    }

    /// Fills it to the last page.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room again.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}
