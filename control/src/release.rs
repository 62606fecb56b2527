//! `restic-manager release`: making keys, signing and checking binaries of the agent, all without a server, and taking them in. The private
//! key is read here and goes nowhere else.

use crate::app;
use crate::config::ReleaseCommand;
use crate::domain::permission::Actor;
use crate::service::releases;
use anyhow::Context as _;
use restic_manager_shared::release::{Manifest, ReleaseKey, SignedManifest, SigningKey, find_stamp, sha256};
use restic_manager_shared::time::Timestamp;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio::io::AsyncReadExt as _;

/// Does what was asked.
///
/// # Errors
/// What is in the way, for people.
pub async fn run(command: ReleaseCommand) -> anyhow::Result<()> {
    match command {
        ReleaseCommand::Keygen { file } => keygen(&file),
        ReleaseCommand::Sign { binary, key, rollback, out } => {
            sign(&binary, &key, rollback, &out.unwrap_or_else(|| beside(&binary)), Timestamp::now())
        }
        ReleaseCommand::Verify { binary, signature, public_key } => {
            verify(&binary, &signature.unwrap_or_else(|| beside(&binary)), public_key)
        }
        ReleaseCommand::Add { binary, signature, notes, data } => {
            let signed = read_signed(&signature.unwrap_or_else(|| beside(&binary)))?;
            let (_stop, stopping) = tokio::sync::watch::channel(false);
            add(&app::open(&data, stopping).await?, &binary, signed, notes).await
        }
    }
}

fn beside(binary: &Path) -> PathBuf {
    let mut name = binary.as_os_str().to_owned();
    name.push(".release");
    name.into()
}

/// A new file that only this user may read; one that is there stays.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).with_context(|| format!("{} cannot be made", path.display()))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
    Ok(())
}

fn keygen(file: &Path) -> anyhow::Result<()> {
    let key = SigningKey::generate()?;
    write_new(file, &key.to_text())?;
    println!("{}", key.public()?);
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn read_signed(path: &Path) -> anyhow::Result<SignedManifest> {
    serde_json::from_slice(&read(path)?).with_context(|| format!("{} is no signed manifest", path.display()))
}

fn sign(binary: &Path, key: &Path, rollback: bool, out: &Path, now: Timestamp) -> anyhow::Result<()> {
    let text = zeroize::Zeroizing::new(String::from_utf8(read(key)?).context("the key is not text")?);
    let key = SigningKey::from_text(&text)?;
    let bytes = read(binary)?;
    let stamp = find_stamp(&bytes)?;
    let manifest = Manifest {
        version: stamp.version,
        target: stamp.target,
        sha256: sha256(&bytes),
        size: bytes.len() as u64,
        protocol: stamp.protocol,
        rollback,
        published_at: now,
    };
    let signed = key.sign(manifest)?;
    std::fs::write(out, serde_json::to_string_pretty(&signed)? + "\n")
        .with_context(|| format!("{} cannot be written", out.display()))?;
    println!("{}", signed.manifest);
    Ok(())
}

fn verify(binary: &Path, signature: &Path, public_key: ReleaseKey) -> anyhow::Result<()> {
    let signed = read_signed(signature)?;
    let manifest = signed.open(&[public_key])?;
    let bytes = read(binary)?;
    manifest.matches(bytes.len() as u64, &sha256(&bytes))?;
    println!("{}", signed.manifest);
    Ok(())
}

async fn add(s: &crate::service::Services, binary: &Path, signed: SignedManifest, notes: String) -> anyhow::Result<()> {
    let actor = Actor::system("command line");
    let made = releases::add(s, &actor, signed, notes).await?;
    let mut incoming = releases::receive(s, &made.version, &made.target).await?;
    let mut file = tokio::fs::File::open(binary).await.with_context(|| format!("{}", binary.display()))?;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match file.read(&mut buffer).await? {
            0 => break,
            n => incoming.write(&buffer[..n]).await?,
        }
    }
    incoming.finish(s, &actor).await?;
    println!("{} for {} is here; roll it out under Settings, Agent releases", made.version, made.target);
    Ok(())
}
