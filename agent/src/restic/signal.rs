//! Processes by number: is a child of an earlier run of the agent still there, and how is it ended. The number alone proves nothing,
//! because systems use numbers again; the time of birth goes with it.

/// When a process was born, in words that are never the same for another process of the same number; none if it is not there.
#[cfg(target_os = "linux")]
#[must_use]
pub fn birth(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the 20th field after it is the start time in ticks since boot.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    let ticks = fields.nth(18)?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{}/{ticks}", boot.trim()))
}

/// Elsewhere a child cannot be told from a stranger; on Windows it dies with the agent anyway, by its job object.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn birth(_pid: u32) -> Option<String> {
    None
}

/// Asks the group that this process leads to end: politely, so that restic removes its lock, or at once.
#[cfg(unix)]
#[allow(unsafe_code)]
pub fn end_group(pid: u32, at_once: bool) {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return };
    if pid > 1 {
        // SAFETY: kill takes two numbers and touches no memory of ours.
        unsafe { libc::kill(-pid, if at_once { libc::SIGKILL } else { libc::SIGINT }) };
    }
}

/// There is nothing to end: the child died with the agent.
#[cfg(not(unix))]
pub fn end_group(_pid: u32, _at_once: bool) {}

/// Sends Ctrl-C to the console of another process. Leaves this process without a console, so it must be a helper that ends next.
#[cfg(windows)]
#[allow(unsafe_code)]
#[must_use]
pub fn send_ctrl_c(pid: u32) -> bool {
    use windows_sys::Win32::System::Console::{
        AttachConsole, CTRL_C_EVENT, FreeConsole, GenerateConsoleCtrlEvent, SetConsoleCtrlHandler,
    };
    // SAFETY: plain calls with numbers; no memory of ours is passed.
    unsafe {
        FreeConsole();
        AttachConsole(pid) != 0 && SetConsoleCtrlHandler(None, 1) != 0 && GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) != 0
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_one_birth() {
        let me = std::process::id();
        assert!(birth(me).is_some());
        assert_eq!(birth(me), birth(me));
        assert_ne!(birth(me), birth(1));
        assert_eq!(birth(u32::MAX), None);
    }
}
