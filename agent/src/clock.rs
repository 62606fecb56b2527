//! The machine's own time: how long it has been up, asleep or awake. Nobody can set it, so it shows when somebody set the clock.

use std::time::Duration;

/// Time since the machine was started, with the time that it slept.
#[cfg(unix)]
#[must_use]
#[allow(unsafe_code)]
pub fn since_boot() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime writes one timespec, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
    Duration::new(seconds, nanos)
}

/// Time since the machine was started, with the time that it slept.
#[cfg(windows)]
#[must_use]
#[allow(unsafe_code)]
pub fn since_boot() -> Duration {
    // SAFETY: takes nothing and returns a number.
    Duration::from_millis(unsafe { windows_sys::Win32::System::SystemInformation::GetTickCount64() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_only_goes_on() {
        let first = since_boot();
        assert!(first > Duration::ZERO && since_boot() >= first);
    }
}
