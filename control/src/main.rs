//! The `restic-manager` program: its command line, and what it prints when something is in the way.

use clap::Parser;
use control::app::{self, StartError};
use control::config::{Cli, Command, Data, DevCommand, StateCommand, TokenCommand, UserCommand};
use control::domain::permission::Actor;
use control::http::routes;
use control::release;
use control::service::{ActError, seed, tokens, users};
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use std::io::Read;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = matches!(&cli.command, Command::Serve(serve) if serve.log_json);
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json {
        log.json().init();
    } else {
        log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init();
    }
    match actix_web::rt::System::new().block_on(run(cli.command)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("restic-manager: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => app::serve(&args).await?,
        Command::Doctor { data } => return Ok(told(&app::examine(&data).await?)),
        Command::State(StateCommand::Export { file, passphrase_file, data }) => {
            let passphrase = passphrase_file.map(|path| passphrase(&path)).transpose()?;
            let counted = app::export(&data, file.clone(), passphrase).await?;
            println!("{} rows as of {} are in {}", counted.rows, counted.at, file.display());
        }
        Command::State(StateCommand::Import { file, passphrase_file, data }) => {
            let passphrase = passphrase_file.map(|path| passphrase(&path)).transpose()?;
            let counted = app::import(&data, file, passphrase).await?;
            println!("{} rows as of {} are here; start the server", counted.rows, counted.at);
        }
        Command::Dev(DevCommand::Seed { hosts, days, jobs, seed, data }) => {
            let services = open(&data).await?;
            let sown = seed::sow(&services, seed::Plan { hosts, days, jobs, seed, now: Timestamp::now() }).await?;
            println!(
                "{} hosts, {} schedules, {} jobs and {} snapshots are here",
                sown.hosts, sown.schedules, sown.jobs, sown.snapshots
            );
        }
        Command::Release(command) => release::run(command).await?,
        Command::Openapi => {
            print!("{}", routes::document_text()?);
        }
        Command::Operations => print!("{}", control::domain::operation::markdown()),
        Command::User(UserCommand::Add { name, role, password, data }) => {
            let password = match password {
                Some(password) => password,
                None => read_password()?,
            };
            let services = open(&data).await?;
            users::add(&services, &Actor::system("command line"), name, password, role).await.map_err(said)?;
        }
        Command::Token(TokenCommand::Add { name, role, data }) => {
            let services = open(&data).await?;
            let new = tokens::NewApiToken { id: ApiTokenId::new(), name, role, days: None };
            let token = tokens::add(&services, &Actor::system("command line"), new).await.map_err(said)?;
            token.iter().for_each(|token| println!("{}", token.reveal()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what the doctor found.
fn told(findings: &[String]) -> ExitCode {
    if findings.is_empty() {
        println!("ok");
        return ExitCode::SUCCESS;
    }
    findings.iter().for_each(|finding| println!("{finding}"));
    ExitCode::FAILURE
}

async fn open(data: &Data) -> Result<control::service::Services, StartError> {
    let (_stop, stopping) = tokio::sync::watch::channel(false);
    app::open(data, stopping).await
}

fn passphrase(path: &std::path::Path) -> anyhow::Result<Secret> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| anyhow::anyhow!("the passphrase cannot be read from {}: {e}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    anyhow::ensure!(!text.is_empty(), "{} holds no passphrase", path.display());
    Ok(Secret::new(text))
}

fn read_password() -> anyhow::Result<Secret> {
    let mut text = String::new();
    std::io::stdin().take(4096).read_to_string(&mut text)?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n'])))
}

/// Field errors in full: on the command line there is no form to show them beside.
fn said(error: ActError) -> anyhow::Error {
    match error {
        ActError::Invalid(fields) => {
            let all: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.pointer.trim_start_matches('/'), f.detail)).collect();
            anyhow::anyhow!(all.join("; "))
        }
        other => other.into(),
    }
}
