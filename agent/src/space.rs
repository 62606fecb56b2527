//! How much room a file system of this machine has. Other storage says nothing of the kind to restic.

use std::path::Path;

/// The room of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// The room of the file system that this folder is on; none if there is no such folder, or the system cannot be asked.
#[cfg(unix)]
#[allow(unsafe_code, clippy::useless_conversion)] // the fields' widths differ between systems
#[must_use]
pub fn of(folder: &Path) -> Option<Space> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes()).ok()?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in a zero byte, and what is pointed to is as large as the call wants; it is read only if the call filled it.
    let found = unsafe {
        if libc::statvfs(path.as_ptr(), found.as_mut_ptr()) != 0 {
            return None;
        }
        found.assume_init()
    };
    let bytes = |blocks: u64| blocks.checked_mul(u64::from(found.f_frsize));
    Some(Space { free: bytes(u64::from(found.f_bavail))?, total: bytes(u64::from(found.f_blocks))? })
}

/// Not asked there.
#[cfg(not(unix))]
#[must_use]
pub fn of(_folder: &Path) -> Option<Space> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_what_is_not_there_has_none() {
        let dir = tempfile::tempdir().expect("dir");
        let space = of(dir.path()).expect("known");
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert_eq!(of(&dir.path().join("none")), None);
    }
}
