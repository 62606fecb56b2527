//! How a repository stands, asked of both databases: they tell the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::alert::{AlertKind, Severity};
use control::domain::health::Sample;
use control::domain::place::Place;
use control::store::credentials::{self, CredentialRecord};
use control::store::standing::{self, Backups, Which};
use control::store::{StoreError, alerts, jobs, upkeep};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::operation::{DeleteVerdict, ProbeReport};
use restic_manager_shared::wire::state::CredentialMode;
use support::{at, databases, open, seed};

fn named(find: &str, after: Option<&str>) -> Which {
    Which::Named { find: find.into(), after: after.map(Into::into) }
}

#[tokio::test]
async fn a_repository_stands_alike_in_both_databases() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let (one, job) = seed(conn, "one")?;
            let (two, _) = seed(conn, "t_o")?;
            let id = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            for (kind, about) in [
                (AlertKind::ForeignLock, format!("repository:{id}")),
                (AlertKind::CredentialCanDelete, format!("host:{one}/repository:{id}")),
                (AlertKind::ForeignLock, format!("repository:{}", RepositoryId::new())),
            ] {
                alerts::raise(conn, (kind, &about), Severity::Warning, "why", at(3))?;
            }
            let told = standing::open_alerts(conn, id)?;
            assert_eq!(
                told.iter().map(|(kind, ..)| *kind).collect::<Vec<_>>(),
                [AlertKind::ForeignLock, AlertKind::CredentialCanDelete]
            );

            for (host, mode) in [(one, CredentialMode::AppendOnly), (two, CredentialMode::Full)] {
                let record = CredentialRecord {
                    id: host.0,
                    host_id: host,
                    repository_id: id,
                    mode,
                    secrets_sealed: "v1.x".into(),
                    at: at(3),
                    url: None,
                    proof: None,
                };
                credentials::put(conn, &record)?;
            }
            let proof = ProbeReport { can_delete: DeleteVerdict::AppendOnly, ..ProbeReport::default() };
            credentials::keep_proof(conn, one, id, &proof, at(4))?;
            for (which, found) in [
                (named("", None), vec!["one", "t_o"]),
                (named("", Some("one")), vec!["t_o"]),
                (named("_", None), vec!["t_o"]),
                (Which::Doubtful, vec!["t_o", "one"]),
            ] {
                let users = standing::users(conn, id, &which, 9)?;
                assert_eq!(users.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), found, "{name}: {which:?}");
            }
            assert!(standing::causes(conn, &[one, two])?.is_empty());
            assert!(standing::schedules_of(conn, id, &[one, two])?.is_empty());

            let sample = Sample {
                at: at(4),
                raw_size: 7,
                uncompressed_size: None,
                restore_size: None,
                snapshots: 1,
                free: None,
            };
            upkeep::put_size(conn, Place { repository: id, host: Some(one) }, &sample, None)?;
            assert_eq!(standing::largest(conn, id, true, 9)?, [(one, 7)], "{name}");
            assert_eq!(standing::largest(conn, id, false, 9)?, [], "{name}");
            assert_eq!(standing::backups(conn, id)?, Backups::default(), "{name}");
            assert!(standing::checks(conn, id)?.is_empty() && standing::looked_at_locks(conn, id)?.is_none());
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
