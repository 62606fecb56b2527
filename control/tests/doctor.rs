//! The doctor on both databases: content with what the store made, and telling what was spoiled behind its back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::service::doctor::examine;
use control::store::{Conn, StoreError, audit, hosts, settings};
use diesel::connection::SimpleConnection;
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use support::{databases, open};

#[tokio::test]
async fn the_doctor_tells_what_was_spoiled() {
    for database in databases() {
        let (db, name, dir) = (open(&database), database.name, tempfile::tempdir().unwrap());
        let key = dir.path().join("master.key");
        db.write(|conn| {
            hosts::insert_pending(conn, HostId::new(), "one", &[], Timestamp::from_seconds(1))?;
            for n in 0..3 {
                let text = format!("{n}");
                let at = Timestamp::from_seconds(n);
                let (actor, address, action, subject) = (text.clone(), text.clone(), text.clone(), text.clone());
                audit::append(conn, &audit::Entry { at, actor, address, action, subject, detail: text })?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
        assert_eq!(examine(&database.target, &key).unwrap(), Vec::<String>::new(), "{name}");
        for (spoil, want) in [
            ("UPDATE hosts SET held_version = 9", "holds version 9"),
            ("UPDATE hosts SET tags = '{'", "hosts.tags"),
            ("UPDATE audit_events SET detail = 'x' WHERE seq = 2", "audit entry 2"),
        ] {
            db.write(move |conn: &mut Conn| conn.batch_execute(spoil).map_err(StoreError::from)).await.unwrap();
            let found = examine(&database.target, &key).unwrap();
            assert!(found.iter().any(|text| text.contains(want)), "{name}, {want}: {found:?}");
        }
        db.write(|conn| settings::set(conn, "control_key", "v1.AAAA")).await.unwrap();
        let found = examine(&database.target, &key).unwrap();
        assert!(found.iter().any(|text| text.contains("master key")) && !key.exists(), "{name}: {found:?}");
    }
}
