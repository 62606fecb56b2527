//! The doctor: examines the database for an operator. It reads what `store::doctor` lays out, judges with `domain::doctor`, and tries
//! the secrets with the master key. It mends nothing: what is wrong is for a person to look at.

use super::enrollment::unpack;
use super::vault::Vault;
use crate::domain::doctor as findings;
use crate::store::{Conn, OpenError, StoreError, StoreResult, Target, doctor};
use std::path::Path;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum CannotExamine {
    /// There is no database, or it cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] StoreError),
}

/// Examines a database and answers the findings, one sentence each. Without the key file the secrets are not tried; that it is missing
/// is a finding.
///
/// # Errors
/// When the database cannot be opened or read.
pub fn examine(target: &Target, key_file: &Path) -> Result<Vec<String>, CannotExamine> {
    let mut conn = doctor::open(target)?;
    let found = doctor::at_one_moment(&mut conn, |conn| {
        let mut found = doctor::integrity(conn)?;
        let jobs = doctor::all_jobs(conn)?;
        found.extend(jobs.iter().flat_map(findings::job));
        found.extend(findings::schedules(&jobs));
        let hosts = doctor::host_versions(conn)?;
        found.extend(hosts.iter().filter_map(|(id, newest, held)| findings::host(id, *newest, *held)));
        found.extend(doctor::orphans(conn)?);
        found.extend(doctor::json(conn)?);
        found.extend(doctor::log_lines(conn)?);
        found.extend(doctor::audit_chain(conn)?);
        found.extend(secrets(conn, key_file)?);
        Ok(found)
    })?;
    Ok(found)
}

fn secrets(conn: &mut Conn, key_file: &Path) -> StoreResult<Vec<String>> {
    let sealed = doctor::sealed(conn)?;
    if sealed.is_empty() {
        return Ok(vec![]);
    }
    // Never as a fresh installation: the doctor makes no key.
    let vault = match Vault::open(key_file, false) {
        Ok(vault) => vault,
        Err(error) => return Ok(vec![error.to_string()]),
    };
    let shut = |table: &'static str, column: &'static str, row: &str, text: &str| {
        let closed = vault.open_sealed((table, column, row), text).is_err();
        closed.then(|| format!("{table} {row}: its secret does not open with the master key"))
    };
    let mut found: Vec<String> =
        sealed.iter().filter_map(|((table, column, row), text)| shut(table, column, row, text)).collect();
    for (token, packed) in doctor::packed(conn)? {
        match unpack(&packed) {
            Some((_, row, text)) => found.extend(shut("host_credentials", "secrets", &row.to_string(), &text)),
            None => found.push(format!("enrollment token {token}: its credential does not read")),
        }
    }
    Ok(found)
}
