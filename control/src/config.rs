//! The command line. Every setting is a flag; the ones that hold a secret may come from the environment instead.

use crate::domain::permission::Role;
use clap::{Parser, Subcommand};
use restic_manager_shared::release::ReleaseKey;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::LEASE;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// restic-manager: the control plane for restic backups across a fleet.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve agents, the API and the pages.
    Serve(Serve),
    /// Manage users.
    #[command(subcommand)]
    User(UserCommand),
    /// Manage API tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Check that the database does not contradict itself. Changes nothing; prints `ok`, or one line for each finding.
    Doctor {
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Make and sign releases of the agent, and take them in. Keys and signing need no server; keep the key away from it.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Carry everything that the control plane knows to another machine or database, or back after a loss.
    #[command(subcommand)]
    State(StateCommand),
    /// For work on restic-manager itself.
    #[command(subcommand, hide = true)]
    Dev(DevCommand),
    /// Print the OpenAPI document.
    Openapi,
    /// Print the table of operations, as Markdown.
    Operations,
}

/// Where the data is.
#[derive(Clone, Debug, clap::Args)]
pub struct Data {
    /// The data folder: the master key, and the SQLite database unless another is named.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// A PostgreSQL database, as postgres://user:password@host/name, instead of SQLite.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// The folder for the files of agent releases, instead of `releases` in the data folder. Servers that share a database share it too.
    #[arg(long)]
    pub releases_dir: Option<PathBuf>,
}

/// How to serve.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// Where the data is.
    #[command(flatten)]
    pub data: Data,
    /// The address to listen on; port 0 picks a free one and logs it.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// How people and agents reach this server, such as https://backup.example.org; else taken from each request.
    #[arg(long)]
    pub public_url: Option<String>,
    /// The address of a reverse proxy whose X-Forwarded-For and X-Forwarded-Proto count; may be repeated.
    #[arg(long = "trusted-proxy")]
    pub trusted_proxies: Vec<IpAddr>,
    /// The certificate chain (PEM) to serve HTTPS with.
    #[arg(long, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM).
    #[arg(long, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How many jobs the whole fleet may run at the same time; no limit if left out. What schedules start by themselves counts, but
    /// does not wait.
    #[arg(long)]
    pub max_running_jobs: Option<u32>,
    /// Seconds between looks at what repositories need (maintenance, drills, proofs, changes of passwords); 0 for never.
    #[arg(long, default_value_t = 20)]
    pub upkeep_seconds: u64,
    /// How long after its start the server tells of no host that is silent or not backed up: agents tell first what was done while it was
    /// away.
    #[arg(long, default_value_t = 300, hide = true)]
    pub settle_seconds: u64,
    /// How many exports of the last days to keep in the data folder, one a day; 0 makes none. They hold the master key, as the folder does.
    #[arg(long, default_value_t = 7)]
    pub keep_exports: usize,
    /// Another folder for them, better on another disk.
    #[arg(long)]
    pub exports_dir: Option<PathBuf>,
    /// For how many seconds a running job may be silent before it counts as lost. Agents are told, and follow.
    #[arg(long, hide = true, default_value_t = LEASE, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub lease: u32,
    /// Shows a page of every component in every state, for tests in a browser.
    #[arg(long, hide = true)]
    pub component_states: bool,
    /// Log lines as JSON.
    #[arg(long)]
    pub log_json: bool,
}

/// Releases of the agent.
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Make a key pair. The private one goes into FILE; the public one is printed, for agents to pin.
    Keygen {
        /// The file for the private key.
        file: PathBuf,
    },
    /// Sign a binary of the agent, for whichever platform it is. Version and platform are read out of the binary.
    Sign {
        /// The binary.
        binary: PathBuf,
        /// The private key.
        #[arg(long)]
        key: PathBuf,
        /// Hosts with a newer version may be taken back to this one.
        #[arg(long)]
        rollback: bool,
        /// The file for the signed manifest; BINARY.release if left out.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Check a signed binary as an agent would, with a public key, and print what was signed.
    Verify {
        /// The binary.
        binary: PathBuf,
        /// The signed manifest; BINARY.release if left out.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// The public key, rmk1:...
        #[arg(long)]
        public_key: ReleaseKey,
    },
    /// Take a signed binary in; a server may be at work. Nobody is offered it until it is rolled out.
    Add {
        /// The binary.
        binary: PathBuf,
        /// The signed manifest; BINARY.release if left out.
        #[arg(long)]
        signature: Option<PathBuf>,
        /// What is new in it.
        #[arg(long, default_value = "")]
        notes: String,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
}

/// The state of the control plane.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Write everything into one file, while the server may be at work. The file holds the master key: with it, it opens every stored
    /// secret. Encrypt it, or keep it as you keep the data folder.
    Export {
        /// The file to write.
        file: PathBuf,
        /// A file that holds a passphrase: the export is encrypted with age, and `age -d` opens it too.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
    /// Take an export into a new data folder and an empty database, of either kind. Start the server after it; agents go on by themselves.
    Import {
        /// The file to read.
        file: PathBuf,
        /// The file that holds its passphrase, if it is encrypted.
        #[arg(long)]
        passphrase_file: Option<PathBuf>,
        /// Where the data is to be.
        #[command(flatten)]
        data: Data,
    },
}

/// For work on restic-manager itself.
#[derive(Debug, Subcommand)]
pub enum DevCommand {
    /// Put a believable fleet with its past into an empty database.
    Seed {
        /// How many hosts.
        #[arg(long, default_value_t = 24)]
        hosts: usize,
        /// For how many days they have been backed up.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=400))]
        days: u32,
        /// With at least so many jobs: the past is repeated before it began, without logs and snapshots, until there are enough.
        #[arg(long, default_value_t = 0)]
        jobs: usize,
        /// The same number gives the same fleet.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the data is to be.
        #[command(flatten)]
        data: Data,
    },
}

/// Users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user. The password is read from standard input, or RESTIC_MANAGER_PASSWORD.
    Add {
        /// Sign-in name.
        name: String,
        /// viewer, operator or admin.
        #[arg(long)]
        role: Role,
        /// The password; better left to the environment or standard input.
        #[arg(long, env = "RESTIC_MANAGER_PASSWORD", hide_env_values = true, value_parser = secret)]
        password: Option<Secret>,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
}

/// API tokens.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make an API token and print it.
    Add {
        /// What it is for.
        name: String,
        /// viewer, operator or admin.
        #[arg(long)]
        role: Role,
        /// Where the data is.
        #[command(flatten)]
        data: Data,
    },
}

#[allow(clippy::unnecessary_wraps)] // the shape that clap wants
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}
