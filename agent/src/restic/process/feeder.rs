//! A program whose output another one reads, with an environment of its own. restic could run it itself, but would hand it all that opens
//! the repository. When it fails, the reader must not see an end of input, or it would take the half for the whole.

use super::{Feeder, Launch, Output, drain, of_stderr};
use restic_manager_shared::restic::array::Cutter;
use std::io::{self, ErrorKind};
use std::process::{ExitStatus, Stdio};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// Pipes until the program ends, and then ends the input if it went well. Returns only when it failed, and then leaves the input open.
/// A reader that went away says itself why.
pub(super) async fn feed(
    launch: &Launch,
    reader: Option<u32>,
    held: &mut Option<ChildStdin>,
    lines: mpsc::Sender<Output>,
) {
    let (Some(feeder), Some(input)) = (&launch.feeder, held.as_mut()) else { return std::future::pending().await };
    let said = match run(feeder, reader, input, &lines).await {
        Ok(status) if status.success() => {
            held.take();
            return std::future::pending().await;
        }
        Ok(status) => status.to_string(),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => return std::future::pending().await,
        Err(e) => e.to_string(),
    };
    let _ = lines.send(Output::Err(format!("Fatal: the hook failed: {said}"))).await;
}

async fn run(
    feeder: &Feeder,
    reader: Option<u32>,
    input: &mut ChildStdin,
    lines: &mpsc::Sender<Output>,
) -> io::Result<ExitStatus> {
    let mut command = Command::new(&feeder.program);
    command.env_clear().envs(&feeder.vars).current_dir(&feeder.dir).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    join(&mut command, reader);
    let mut child = command.spawn()?;
    let words = drain(child.stderr.take(), Cutter::lines(super::LONGEST_LINE), lines.clone(), of_stderr);
    if let Some(mut output) = child.stdout.take() {
        tokio::io::copy(&mut output, input).await?;
        input.flush().await?;
    }
    let status = child.wait().await;
    if let Some(words) = words {
        let _ = words.await;
    }
    status
}

/// Into the reader's group: what stops the one stops the other, with all that it started.
#[cfg(unix)]
fn join(command: &mut Command, reader: Option<u32>) {
    if let Some(group) = reader.and_then(|pid| i32::try_from(pid).ok()) {
        command.process_group(group);
    }
}

#[cfg(not(unix))]
fn join(_command: &mut Command, _reader: Option<u32>) {}
