//! The command line of the agent. Reads arguments and environment, once, and hands over.

use agent::app::{self, Agent, Ending};
use agent::config::{Config, Inherited};
use agent::enroll::{Wish, enroll};
use agent::facts;
use agent::restic::binary::Finder;
use agent::state_dir::StateDir;
use agent::status;
use agent::update::program::Program;
use agent::update::{self, Boot, check};
use clap::{Args, Parser, Subcommand};
use restic_manager_shared::release::ReleaseKey;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// Backs this host up with restic, as its control plane says.
#[derive(Parser)]
#[command(name = "restic-manager-agent", version = facts::version())]
struct Cli {
    #[command(subcommand)]
    act: Act,
    #[command(flatten)]
    environment: Environment,
}

#[derive(Subcommand)]
enum Act {
    /// Make this host known to a control plane, with a one-time token.
    Enroll(EnrollArgs),
    /// Run in the foreground until told to stop.
    Run(RunArgs),
    /// Tell what the agent knows and does.
    Status(Folder),
    /// Look whether this version works on this host, without changing anything. Run before an update is put in place.
    SelfCheck(Folder),
    /// Put this version back if the one after it was started too often without reaching the control plane. For service managers: run
    /// `restic-manager-agent.previous guard` before each start of the agent.
    Guard(Folder),
    /// Send Ctrl-C to a process; the agent calls this itself.
    #[cfg(windows)]
    #[command(hide = true)]
    CtrlC {
        /// The process.
        pid: u32,
    },
}

#[derive(Args)]
struct Folder {
    /// Where the agent keeps its identity, settings and journal.
    #[arg(long, value_name = "DIR", env = "RESTIC_MANAGER_STATE_DIR")]
    state_dir: PathBuf,
}

#[derive(Args)]
struct EnrollArgs {
    /// The control plane's address, such as https://backup.example.org.
    #[arg(long, value_name = "URL")]
    server: String,
    /// The one-time enrollment token.
    #[arg(long, value_name = "TOKEN", env = "RESTIC_MANAGER_TOKEN", hide_env_values = true)]
    token: String,
    #[command(flatten)]
    folder: Folder,
    /// This host's name at the control plane, if the token does not say.
    #[arg(long)]
    name: Option<String>,
    /// A proxy for everything that leaves this host.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,
    /// Certificate authorities to trust besides the system's.
    #[arg(long, value_name = "PEM")]
    ca_file: Option<PathBuf>,
    /// The restic binary; without it, the one on the PATH.
    #[arg(long, value_name = "PATH")]
    restic: Option<PathBuf>,
    /// Enrol anew, although the folder is enrolled.
    #[arg(long)]
    force: bool,
    /// A public key that signs releases of the agent, rmk1:...; may be repeated. Without one the agent never replaces itself.
    #[arg(long = "release-key", value_name = "KEY")]
    release_keys: Vec<ReleaseKey>,
}

#[derive(Args)]
struct RunArgs {
    #[command(flatten)]
    folder: Folder,
    /// The restic binary; without it, the one in agent.toml, or on the PATH.
    #[arg(long, value_name = "PATH")]
    restic: Option<PathBuf>,
    /// What to log; without it, what agent.toml says.
    #[arg(long, value_name = "FILTER", env = "RESTIC_MANAGER_LOG")]
    log: Option<String>,
}

/// What is taken from the environment. Not meant to be typed.
#[derive(Args)]
struct Environment {
    #[arg(long = "env-path", env = "PATH", hide = true, global = true)]
    path: Option<String>,
    #[arg(long = "env-home", env = "HOME", hide = true, global = true)]
    home: Option<String>,
    #[arg(long = "env-no-proxy", env = "NO_PROXY", hide = true, global = true)]
    no_proxy: Option<String>,
    #[arg(long = "env-http-proxy", env = "HTTP_PROXY", hide = true, hide_env_values = true, global = true)]
    http_proxy: Option<String>,
    #[arg(long = "env-https-proxy", env = "HTTPS_PROXY", hide = true, hide_env_values = true, global = true)]
    https_proxy: Option<String>,
    #[arg(long = "env-system-root", env = "SystemRoot", hide = true, global = true)]
    system_root: Option<String>,
}

impl From<Environment> for Inherited {
    fn from(e: Environment) -> Self {
        Self {
            path: e.path,
            home: e.home,
            no_proxy: e.no_proxy,
            http_proxy: e.http_proxy,
            https_proxy: e.https_proxy,
            system_root: e.system_root,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let inherited = Inherited::from(cli.environment);
    let result = match cli.act {
        Act::Enroll(args) => enroll_host(args, inherited),
        Act::Run(args) => run_agent(args, inherited),
        Act::Status(folder) => print_status(&folder),
        Act::SelfCheck(folder) => self_check(&folder),
        Act::Guard(folder) => guard(&folder),
        #[cfg(windows)]
        Act::CtrlC { pid } => {
            return if agent::restic::signal::send_ctrl_c(pid) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("restic-manager-agent: {}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn start_log(filter: &str) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(filter).map_err(|e| anyhow::anyhow!("the log filter {filter:?} is not valid: {e}"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
    Ok(())
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

fn enroll_host(args: EnrollArgs, inherited: Inherited) -> anyhow::Result<()> {
    start_log("info")?;
    let dir = StateDir::open(&args.folder.state_dir)?;
    let ca_file = args.ca_file.map(std::path::absolute).transpose()?;
    let restic = args.restic.map(std::path::absolute).transpose()?;
    let config = Config { proxy: args.proxy, ca_file, restic: restic.clone(), ..Config::new(&args.server) };
    let wish = Wish {
        config,
        token: Secret::new(args.token.trim()),
        name: args.name,
        force: args.force,
        release_keys: args.release_keys,
    };
    let finder = Finder::new(restic, inherited);
    let identity = runtime()?.block_on(enroll(&dir, wish, &finder))?;
    tracing::info!(host_id = %identity.host_id, name = %identity.host_name, "enrolled");
    println!("enrolled host_id={}", identity.host_id);
    Ok(())
}

fn run_agent(args: RunArgs, inherited: Inherited) -> anyhow::Result<()> {
    let dir = StateDir::open(&args.folder.state_dir)?;
    // Found now: after an update the system would name a file that is gone.
    let exe = std::env::current_exe().ok();
    // Before anything else that a new version could stumble over.
    if let Some(exe) = &exe
        && update::boot(&dir, &Program::new(exe.clone()), Timestamp::now()) == Boot::Restart
    {
        return start_again();
    }
    let config = Config::load(&dir)?;
    start_log(args.log.as_deref().unwrap_or(&config.log))?;
    let agent = Arc::new(Agent::build(dir, &config, inherited, args.restic, exe)?);
    let runtime = runtime()?;
    let ending = runtime.block_on(async {
        let (press, stop) = watch::channel(false);
        tokio::spawn(async move {
            told_to_stop().await;
            press.send_replace(true);
            // Kept, so that nobody takes its end for a word.
            std::future::pending::<()>().await;
        });
        app::run(agent, stop).await
    })?;
    runtime.shutdown_background();
    match ending {
        Ending::Stopped => Ok(()),
        Ending::Replaced => start_again(),
    }
}

/// Runs the program that is in this one's place now: as the same process, so that it needs no service manager.
#[cfg(unix)]
fn start_again() -> anyhow::Result<()> {
    match self_update::restart::restart() {
        Err(e) => Err(anyhow::anyhow!("the program that was put in place does not start: {e}")),
        Ok(never) => match never {},
    }
}

/// Ends in a way that makes the service manager start the program that is in this one's place now.
#[cfg(not(unix))]
fn start_again() -> anyhow::Result<()> {
    const START_AGAIN: i32 = 75;
    std::process::exit(START_AGAIN)
}

fn self_check(folder: &Folder) -> anyhow::Result<()> {
    runtime()?.block_on(check::self_check(&StateDir::at(&folder.state_dir)))?;
    println!("{}", check::verdict(facts::version()));
    Ok(())
}

fn guard(folder: &Folder) -> anyhow::Result<()> {
    let own = std::env::current_exe()?;
    let program = Program::of_previous(&own)
        .ok_or_else(|| anyhow::anyhow!("{} is not a version from before: its name ends in .previous", own.display()))?;
    update::guard(&StateDir::at(&folder.state_dir), &program, Timestamp::now())?;
    Ok(())
}

#[cfg(unix)]
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be listened to; the agent will not stop softly");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(not(unix))]
async fn told_to_stop() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn print_status(folder: &Folder) -> anyhow::Result<()> {
    print!("{}", status::describe(&StateDir::at(&folder.state_dir))?);
    Ok(())
}
