//! One run of a program: in a group of its own, both pipes drained to the end, stopped softly and then hard. Knows nothing of restic
//! but how long it may need to clean up.

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long a softly stopped restic may take: with the storage away it tries for 60 s to remove its lock.
pub const GRACE: Duration = Duration::from_secs(75);
/// What a longer line has beyond this is dropped.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;
/// A grandchild may hold a pipe open after the child has gone.
const AFTERMATH: Duration = Duration::from_secs(2);

/// What to run.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub vars: BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub dir: PathBuf,
}

/// A line of output, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// From standard output.
    Out(String),
    /// From standard error.
    Err(String),
}

/// Why a run is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody cancelled the job.
    Cancelled,
    /// The agent itself ends.
    AgentStops,
    /// The storage did not answer while restic opened the repository.
    Unreachable,
}

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With a status.
    Code(i32),
    /// By a signal; 0 where the system does not say which.
    Signal(i32),
}

/// How the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How the process ended.
    pub exit: Exit,
    /// Why it was asked to, if it was.
    pub stopped: Option<StopReason>,
    /// It did not stop in time and was killed.
    pub killed: bool,
}

/// The stop button of a run; the first press counts.
pub type Stop = watch::Receiver<Option<StopReason>>;

/// Runs to the end. Every line goes to `lines`, which must be read all the while; `started` is told the process id.
///
/// # Errors
/// When the program cannot be started, or its end cannot be learned.
pub async fn run(
    launch: Launch,
    lines: mpsc::Sender<Output>,
    mut stop: Stop,
    grace: Duration,
    started: impl FnOnce(u32),
) -> io::Result<Ended> {
    let mut child = spawn(&launch)?;
    let pid = child.id();
    if let Some(pid) = pid {
        started(pid);
    }
    let drains =
        [drain(child.stdout().take(), lines.clone(), Output::Out), drain(child.stderr().take(), lines, Output::Err)];
    let ended = wait(&mut *child, &mut stop, grace).await;
    if let (Some(pid), Ok(Ended { stopped: Some(_), .. })) = (pid, &ended) {
        // Helpers that it started, such as ssh or rclone, do not outlive a stop.
        super::signal::end_group(pid, true);
    }
    for drain in drains.into_iter().flatten() {
        let abort = drain.abort_handle();
        if tokio::time::timeout(AFTERMATH, drain).await.is_err() {
            abort.abort();
        }
    }
    ended
}

fn spawn(launch: &Launch) -> io::Result<Box<dyn ChildWrapper>> {
    let mut command = tokio::process::Command::new(&launch.program);
    command.args(&launch.args).env_clear().envs(&launch.vars).current_dir(&launch.dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wrap = CommandWrap::from(command);
    #[cfg(unix)]
    wrap.wrap(process_wrap::tokio::ProcessGroup::leader());
    #[cfg(windows)]
    {
        use windows::Win32::System::Threading::CREATE_NO_WINDOW;
        // A console of its own, without a window: Ctrl-C can be sent to it alone.
        wrap.wrap(process_wrap::tokio::CreationFlags(CREATE_NO_WINDOW)).wrap(process_wrap::tokio::JobObject);
    }
    wrap.wrap(KillOnDrop);
    wrap.spawn()
}

async fn wait(child: &mut dyn ChildWrapper, stop: &mut Stop, grace: Duration) -> io::Result<Ended> {
    let pressed = async {
        let reason = stop.wait_for(Option::is_some).await.ok().and_then(|r| *r);
        if reason.is_none() {
            // Nobody is left who could press.
            std::future::pending::<()>().await;
        }
        reason
    };
    let stopped = tokio::select! {
        status = child.wait() => return Ok(Ended { exit: exit(status?), stopped: None, killed: false }),
        reason = pressed => reason,
    };
    interrupt(child);
    match tokio::time::timeout(grace, child.wait()).await {
        Ok(status) => Ok(Ended { exit: exit(status?), stopped, killed: false }),
        Err(_) => {
            child.start_kill()?;
            Ok(Ended { exit: exit(child.wait().await?), stopped, killed: true })
        }
    }
}

#[cfg(unix)]
fn interrupt(child: &mut dyn ChildWrapper) {
    if let Err(e) = child.signal(libc::SIGINT) {
        tracing::debug!(error = %e, "the process was gone before it could be interrupted");
    }
}

/// Through a helper process, because attaching to another console costs one's own.
#[cfg(windows)]
fn interrupt(child: &mut dyn ChildWrapper) {
    let (Some(pid), Ok(me)) = (child.id(), std::env::current_exe()) else { return };
    if let Err(e) = std::process::Command::new(me).args(["ctrl-c", &pid.to_string()]).stdin(Stdio::null()).spawn() {
        tracing::warn!(error = %e, "cannot ask the process to stop; it will be killed");
    }
}

#[cfg(unix)]
fn exit(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or(0)), Exit::Code)
}

#[cfg(not(unix))]
fn exit(status: ExitStatus) -> Exit {
    status.code().map_or(Exit::Signal(0), Exit::Code)
}

fn drain<R>(pipe: Option<R>, lines: mpsc::Sender<Output>, wrap: fn(String) -> Output) -> Option<JoinHandle<()>>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let mut reader = BufReader::with_capacity(64 * 1024, pipe?);
    Some(tokio::spawn(async move {
        // A receiver that went away must not stop the reading: a closed pipe would kill restic.
        while let Ok(Some(line)) = read_line(&mut reader, LONGEST_LINE).await {
            let _ = lines.send(wrap(line)).await;
        }
    }))
}

/// The next line without its end; what goes beyond `limit` bytes is dropped. None at the end of the stream.
async fn read_line<R: AsyncBufRead + Unpin>(reader: &mut R, limit: usize) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut any = false;
    loop {
        let buffer = reader.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(any.then(|| text(&line)));
        }
        any = true;
        let end = buffer.iter().position(|b| *b == b'\n');
        let taken = end.unwrap_or(buffer.len());
        let room = limit.saturating_sub(line.len()).min(taken);
        line.extend_from_slice(&buffer[..room]);
        reader.consume(end.map_or(taken, |e| e + 1));
        if end.is_some() {
            return Ok(Some(text(&line)));
        }
    }
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
