//! A program whose output another one reads: for old versions of restic, which cannot run it themselves. When it fails, the reader must not
//! see an end of input, or it would take the half for the whole.

use super::{Launch, Output, drain, of_stderr};
use restic_manager_shared::restic::array::Cutter;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;

/// Pipes until the program ends, and then ends the input if it went well. Returns only when it failed, and then leaves the input open.
pub(super) async fn feed(launch: &Launch, held: &mut Option<ChildStdin>, lines: mpsc::Sender<Output>) {
    let (Some(program), Some(input)) = (&launch.feeder, held.as_mut()) else { return std::future::pending().await };
    let said = match run(launch, program, input, &lines).await {
        Ok(status) if status.success() => {
            held.take();
            return std::future::pending().await;
        }
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    let _ = lines.send(Output::Err(format!("Fatal: the hook failed: {said}"))).await;
}

async fn run(
    launch: &Launch,
    program: &std::path::Path,
    input: &mut ChildStdin,
    lines: &mpsc::Sender<Output>,
) -> std::io::Result<std::process::ExitStatus> {
    let mut command = Command::new(program);
    command.env_clear().envs(&launch.vars).current_dir(&launch.dir).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
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
