//! One run of a program: in a group of its own, both pipes drained to the end, stopped softly and then hard. Knows nothing of restic
//! but how long it may need to clean up, and that a list is one line however long it is.

mod feeder;

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop};
use restic_manager_shared::restic::array::{Cutter, Piece};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How long a softly stopped restic may take: with the storage away it tries for 60 s to remove its lock.
pub const GRACE: Duration = Duration::from_secs(75);
/// What a longer line, or element of a list, has beyond this is dropped.
pub const LONGEST_LINE: usize = 16 * 1024 * 1024;
/// A grandchild may hold a pipe open after the child has gone. Not less: a machine that is very busy takes seconds to read what is already there,
/// and without restic's last line a good backup counts as failed.
const AFTERMATH: Duration = Duration::from_secs(10);

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
    /// A program whose output is its input, instead of none.
    pub feeder: Option<Feeder>,
    /// A file that is there and takes its standard output, instead of being heard line by line.
    pub output: Option<PathBuf>,
}

/// A program whose output is another one's input.
#[derive(Clone, Debug)]
pub struct Feeder {
    /// The program.
    pub program: PathBuf,
    /// Its whole environment, which is not the reader's.
    pub vars: BTreeMap<OsString, OsString>,
    /// Where it runs.
    pub dir: PathBuf,
}

/// A line of output, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// From standard output.
    Out(String),
    /// Standard output begins a JSON array.
    Begin,
    /// An element of it.
    Element(String),
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
    /// The program whose output is backed up failed.
    FeederFailed,
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
    let drains = [
        drain(child.stdout().take(), Cutter::new(LONGEST_LINE), lines.clone(), of_stdout),
        drain(child.stderr().take(), Cutter::lines(LONGEST_LINE), lines.clone(), of_stderr),
    ];
    let mut input = child.stdin().take();
    let feeding = feeder::feed(&launch, pid, &mut input, lines);
    let ended = wait(&mut *child, &mut stop, grace, feeding).await;
    let went_well = matches!(ended, Ok(Ended { exit: Exit::Code(0), stopped: None, .. }));
    let stopped = matches!(ended, Ok(Ended { stopped: Some(_), .. }));
    if let Some(pid) = pid.filter(|_| stopped || (launch.feeder.is_some() && !went_well)) {
        // Helpers that it started, such as ssh or rclone, do not outlive a stop, nor does a feeder its reader.
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
    command.stdin(if launch.feeder.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(match &launch.output {
        Some(file) => Stdio::from(std::fs::File::options().write(true).open(file)?),
        None => Stdio::piped(),
    });
    command.stderr(Stdio::piped());
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

/// `feeding` ends only when the feeder failed; it holds the input open until it is dropped, so that restic never takes half of the input
/// for the whole.
async fn wait(
    child: &mut dyn ChildWrapper,
    stop: &mut Stop,
    grace: Duration,
    feeding: impl Future<Output = ()>,
) -> io::Result<Ended> {
    tokio::pin!(feeding);
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
        () = &mut feeding => Some(StopReason::FeederFailed),
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

fn of_stdout(piece: Piece) -> Option<Output> {
    Some(match piece {
        Piece::Line(line) => Output::Out(text(&line)),
        Piece::Begin => Output::Begin,
        Piece::Element(element) => Output::Element(text(&element)),
    })
}

/// Nothing on standard error is a list.
fn of_stderr(piece: Piece) -> Option<Output> {
    match piece {
        Piece::Line(line) | Piece::Element(line) => Some(Output::Err(text(&line))),
        Piece::Begin => None,
    }
}

fn drain<R>(
    pipe: Option<R>,
    mut cutter: Cutter,
    lines: mpsc::Sender<Output>,
    wrap: fn(Piece) -> Option<Output>,
) -> Option<JoinHandle<()>>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let mut pipe = pipe?;
    Some(tokio::spawn(async move {
        let mut buffer = vec![0; 64 * 1024];
        let mut pieces = Vec::new();
        // A receiver that went away must not stop the reading: a closed pipe would kill restic.
        loop {
            let read = pipe.read(&mut buffer).await.unwrap_or(0);
            if read == 0 {
                cutter.end(|p| pieces.push(p));
            } else {
                cutter.feed(buffer.get(..read).unwrap_or_default(), |p| pieces.push(p));
            }
            for output in pieces.drain(..).filter_map(wrap) {
                let _ = lines.send(output).await;
            }
            if read == 0 {
                return;
            }
        }
    }))
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()
}

#[cfg(test)]
#[path = "process_tests.rs"]
mod tests;
