//! Processes by number: is a child of an earlier run of the agent still there, and how is it ended. The number alone proves nothing,
//! because systems use numbers again; the time of birth goes with it.

use restic_manager_shared::time::Timestamp;

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

/// When the living process of this number was started, by this machine's clock; none if there is none.
#[cfg(target_os = "linux")]
#[must_use]
pub fn alive_since(pid: u32) -> Option<Timestamp> {
    let birth = birth(pid)?;
    let ticks: i64 = birth.rsplit_once('/')?.1.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot = stat.lines().find_map(|l| l.strip_prefix("btime ")?.trim().parse::<i64>().ok());
    // Without a time of boot it counts as older than anything.
    Some(Timestamp::from_micros(boot.map_or(0, |b| b * 1_000_000 + ticks * (1_000_000 / TICKS))))
}

/// Linux tells times of processes in hundredths of a second, whatever the machine's own clock does.
#[cfg(target_os = "linux")]
const TICKS: i64 = 100;

/// When the living process of this number was started, by this machine's clock; none if there is none.
#[cfg(windows)]
#[allow(unsafe_code)]
#[must_use]
pub fn alive_since(pid: u32) -> Option<Timestamp> {
    use windows_sys::Win32::Foundation::{CloseHandle, ERROR_INVALID_PARAMETER, FILETIME, GetLastError};
    use windows_sys::Win32::System::Threading::{GetProcessTimes, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};
    /// Between the beginnings of Windows' time and of Unix', in tenths of a microsecond.
    const BETWEEN: i64 = 116_444_736_000_000_000;
    let mut times = [FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 }; 4];
    let [born, ended, kernel, user] = &mut times;
    // SAFETY: the handle is checked and closed, and the four times outlive the call.
    let known = unsafe {
        let process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid);
        if process.is_null() {
            // One that may not be looked at is there all the same, and counts as older than anything.
            return (GetLastError() != ERROR_INVALID_PARAMETER).then(|| Timestamp::from_micros(0));
        }
        let known = GetProcessTimes(process, born, ended, kernel, user) != 0;
        CloseHandle(process);
        known
    };
    let ticks = (i64::from(born.dwHighDateTime) << 32) | i64::from(born.dwLowDateTime);
    let is_over = ended.dwLowDateTime != 0 || ended.dwHighDateTime != 0;
    let since = if known { (ticks - BETWEEN) / 10 } else { 0 };
    (!is_over).then(|| Timestamp::from_micros(since))
}

/// Elsewhere nothing is known, and every process counts as alive.
#[cfg(not(any(target_os = "linux", windows)))]
#[must_use]
pub fn alive_since(_pid: u32) -> Option<Timestamp> {
    Some(Timestamp::from_micros(0))
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
        let age = Timestamp::now().since(alive_since(me).expect("alive"));
        assert!(age.as_secs() < 3600, "{age:?}");
        assert_eq!(alive_since(u32::MAX), None);
    }
}
