//! The composition root: the only place that builds everything. It opens the data folder, starts the background, serves, and stops in
//! order: parked requests are answered first.

use crate::background;
use crate::config::{Data as DataArgs, Serve};
use crate::courier::Couriers;
use crate::http::params::Site;
use crate::http::{docs, layers, pages, routes};
use crate::hub::Hub;
use crate::presence::Presence;
use crate::service::exports::{self, Counted, ExportError};
use crate::service::vault::{Vault, VaultError};
use crate::service::{
    ActError, Services, agents, doctor, fires, identity, ingest, installs, protection, queries, releases, rollouts,
    tokens, users,
};
use crate::store::{Db, OpenError, Target, relay};
use actix_web::dev::Server;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::LEASE;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use utoipa_actix_web::AppExt;

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error(
        "the data folder {path} cannot be used: {error}. Make it writable for this user, or name another with --data-dir"
    )]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The master key cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The first reads or writes failed.
    #[error(transparent)]
    Act(#[from] ActError),
    /// An export cannot be made or taken.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Messages could not be sent to channels.
    #[error("messages could not be sent to channels: {0}")]
    Couriers(String),
    /// The address cannot be listened on.
    #[error(
        "{address} cannot be listened on: {error}. Is another server running there? Name another address with --listen"
    )]
    Listen {
        /// Which.
        address: std::net::SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("HTTPS cannot be served: {0}")]
    Tls(String),
    /// The pages are broken; a bug.
    #[error("the page templates are broken: {0}")]
    Templates(String),
    /// The server ended with an error.
    #[error("the server ended: {0}")]
    Serve(io::Error),
}

fn prepare_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    // Creating succeeds on a folder that is there but not writable: try it now, not at the first backup.
    let probe = path.join(".write-test");
    std::fs::write(&probe, b"")?;
    std::fs::remove_file(probe)
}

/// New files are for this user alone: the database holds what everybody backs up.
#[cfg(unix)]
fn private_files() {
    #[allow(unsafe_code)]
    // SAFETY: umask cannot fail and touches no memory of ours.
    unsafe {
        libc::umask(0o077);
    }
}

#[cfg(not(unix))]
fn private_files() {}

fn target(args: &DataArgs) -> Target {
    match &args.database_url {
        Some(url) => Target::Postgres(url.clone()),
        None => Target::Sqlite(args.data_dir.join("restic-manager.db")),
    }
}

fn key_file(args: &DataArgs) -> PathBuf {
    args.data_dir.join("master.key")
}

/// Examines the data as it is, read-only: it makes no folder, no key and no database, and runs beside a server.
///
/// # Errors
/// [`StartError`] if there is nothing to examine or it cannot be read.
pub async fn examine(args: &DataArgs) -> Result<Vec<String>, StartError> {
    let (target, key_file) = (target(args), key_file(args));
    apart(move || {
        doctor::examine(&target, &key_file).map_err(|error| match error {
            doctor::CannotExamine::Open(error) => error.into(),
            doctor::CannotExamine::Read(error) => ActError::from(error).into(),
        })
    })
    .await
}

/// Writes an export of the data as it is; a server may be at work on it.
///
/// # Errors
/// [`StartError`] says what is in the way.
pub async fn export(args: &DataArgs, to: PathBuf, passphrase: Option<Secret>) -> Result<Counted, StartError> {
    private_files();
    let (target, key_file) = (target(args), key_file(args));
    apart(move || Ok(exports::export(&target, &key_file, &to, passphrase.as_ref(), Timestamp::now())?)).await
}

/// Takes an export into a new data folder and an empty database.
///
/// # Errors
/// [`StartError`] says what is in the way; then nothing was changed.
pub async fn import(args: &DataArgs, from: PathBuf, passphrase: Option<Secret>) -> Result<Counted, StartError> {
    private_files();
    prepare_dir(&args.data_dir).map_err(|error| StartError::DataDir { path: args.data_dir.clone(), error })?;
    let (target, key_file) = (target(args), key_file(args));
    apart(move || Ok(exports::import(&target, &key_file, &from, passphrase.as_ref(), Timestamp::now())?)).await
}

/// Runs what blocks off the async threads.
async fn apart<T: Send + 'static>(f: impl FnOnce() -> Result<T, StartError> + Send + 'static) -> Result<T, StartError> {
    tokio::task::spawn_blocking(f).await.map_err(|e| StartError::Serve(io::Error::other(e)))?
}

/// Opens the data folder, the database and the master key.
///
/// # Errors
/// [`StartError`] says what is in the way and what to do.
pub async fn open(args: &DataArgs, stopping: watch::Receiver<bool>) -> Result<Services, StartError> {
    private_files();
    let failed = |error| StartError::DataDir { path: args.data_dir.clone(), error };
    prepare_dir(&args.data_dir).map_err(failed)?;
    let db = Db::open(&target(args))?;
    let fresh = db.read(identity::is_fresh).await?;
    let restored = db.read(exports::restored).await.map_err(ActError::from)?;
    let key_file = key_file(args);
    let vault = Vault::open(&key_file, fresh)?;
    let (vault, identity) =
        db.write(move |conn| identity::load(conn, &vault).map(|identity| (vault, identity))).await?;
    Ok(Services {
        db,
        hub: Hub::default(),
        presence: Presence::default(),
        vault,
        identity: identity?,
        judged: fires::Judged::default(),
        agent_tokens: agents::TokenCache::default(),
        questions: queries::Questions::default(),
        token_uses: tokens::Uses::default(),
        shown: installs::Shown::default(),
        gate: users::Gate::default(),
        releases: releases::Releases::new(args.releases_dir.clone().unwrap_or_else(|| args.data_dir.join("releases"))),
        lease: LEASE,
        restored,
        started_at: Timestamp::now(),
        couriers: Couriers::new().map_err(StartError::Couriers)?,
        outbox: Notify::new(),
        public_url: None,
        fleet_limit: None,
        stopping,
    })
}

fn tls(serve: &Serve) -> Result<Option<rustls::ServerConfig>, StartError> {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let (Some(cert), Some(key)) = (&serve.tls_cert, &serve.tls_key) else { return Ok(None) };
    let failed = |e: &dyn std::fmt::Display| StartError::Tls(e.to_string());
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| failed(&format!("{}: {e}", cert.display())))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|e| failed(&format!("{}: {e}", key.display())))?;
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|e| failed(&e))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| failed(&e))?;
    Ok(Some(config))
}

/// The services, as the command line wants them.
async fn services(args: &Serve, stopping: watch::Receiver<bool>) -> Result<Services, StartError> {
    let services = open(&args.data, stopping).await?;
    Ok(Services {
        fleet_limit: args.max_running_jobs,
        lease: args.lease,
        public_url: args.public_url.clone(),
        ..services
    })
}

/// What has to be known before the first request: a poll that is answered before this would take back what its host was offered.
async fn know(services: &Services) -> Result<(), StartError> {
    protection::judge_new(services).await?;
    Ok(rollouts::refresh(services).await?)
}

/// Starts what goes on beside the requests.
fn background(services: &web::Data<Services>, args: &Serve) -> Vec<JoinHandle<()>> {
    pass_on_wakes(services, &target(&args.data));
    let mut tasks =
        background::start(services, Duration::from_secs(args.upkeep_seconds), Duration::from_secs(args.settle_seconds));
    tasks.extend(nightly(args).map(|exports| background::nightly(services, exports)));
    tasks
}

/// Servers that share a database wake each other's polls.
fn pass_on_wakes(services: &web::Data<Services>, target: &Target) {
    if matches!(target, Target::Sqlite(_)) {
        return;
    }
    let (s, target, words) = (services.clone(), target.clone(), services.hub.passed_on());
    std::thread::spawn(move || relay::run(&target, &words, || *s.stopping.borrow(), |word| s.hub.heard(word)));
}

/// The exports that the server makes by itself, if it is to make any.
fn nightly(args: &Serve) -> Option<exports::Nightly> {
    (args.keep_exports > 0).then(|| exports::Nightly {
        target: target(&args.data),
        key_file: key_file(&args.data),
        folder: args.exports_dir.clone().unwrap_or_else(|| args.data.data_dir.join("exports")),
        keep: args.keep_exports,
    })
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// [`StartError`] says what is in the way and what to do.
pub async fn serve(args: &Serve) -> Result<(), StartError> {
    let tls = tls(args)?;
    let listener =
        std::net::TcpListener::bind(args.listen).map_err(|error| StartError::Listen { address: args.listen, error })?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let (stop, stopping) = watch::channel(false);
    let services = web::Data::new(services(args, stopping).await?);
    let pages = web::Data::new(pages::Pages::new().map_err(|e| StartError::Templates(e.to_string()))?);
    let site = web::Data::new(Site {
        public_url: args.public_url.clone(),
        trusted_proxies: args.trusted_proxies.clone(),
        tls: tls.is_some(),
    });
    know(&services).await?;
    if let Some(token) = users::offer_setup(&services).await? {
        tracing::info!("no user yet: open /setup with this one-time setup token={}", token.reveal());
    }
    let background = background(&services, args);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let (s, fallback, for_tests) = (services.clone(), routes::fallback(), args.component_states);
    let server = HttpServer::new(move || {
        let (app, _) = App::new()
            .into_utoipa_app()
            .map(|app| {
                app.app_data(s.clone()).app_data(site.clone()).app_data(pages.clone()).configure(layers::extractors)
            })
            .configure(routes::contract)
            .split_for_parts(); // the document with title and security is made by `routes::document`
        app.wrap(from_fn(layers::no_nul))
            .wrap(from_fn(layers::log))
            .wrap(layers::headers())
            .wrap(Compress::default())
            .configure(|config| docs::configure(config, routes::document()))
            .configure(pages::configure(for_tests))
            .default_service(web::to(fallback.clone()))
    })
    .disable_signals()
    .keep_alive(Duration::from_secs(75))
    // An answer that takes several writes would wait for the peer's delayed ACK: 40 ms on each page and each offer of a job.
    .tcp_nodelay(true)
    .max_connections(250_000)
    .shutdown_timeout(20);
    let server = match tls {
        Some(config) => server.listen_rustls_0_23(listener, config),
        None => server.listen_auto_h2c(listener),
    }
    .map_err(StartError::Serve)?
    .run();
    tracing::info!("listening url={scheme}://{address}");
    until_stopped(server, &services, background, stop).await
}

/// Serves until the process is asked to stop, and lets end what is under way.
async fn until_stopped(
    server: Server,
    services: &Services,
    background: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
) -> Result<(), StartError> {
    let handle = server.handle();
    let running = tokio::spawn(server);
    wait_for_signal().await;
    tracing::info!("stopping: answering held requests");
    let _ = stop.send(true);
    handle.stop(true).await;
    for task in background {
        let _ = task.await;
    }
    if let Err(error) = ingest::write_back_seen(services).await {
        tracing::error!(%error, "the last signs of life were not written back");
    }
    if let Err(error) = tokens::write_back_uses(services).await {
        tracing::error!(%error, "the last uses of API tokens were not written down");
    }
    running.await.map_err(|e| StartError::Serve(io::Error::other(e)))?.map_err(StartError::Serve)
}

#[cfg(unix)]
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn wait_for_signal() {
    let _ = tokio::signal::ctrl_c().await;
}
