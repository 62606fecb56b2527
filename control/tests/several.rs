//! Several servers on one PostgreSQL: a poll that is parked at one hears of what was asked at another.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use restic_manager_tests::control::{ControlPlane, program};
use serde_json::Value;
use support::fresh_postgres;
use tempfile::TempDir;

#[tokio::test]
async fn a_run_now_at_one_server_wakes_the_poll_that_is_parked_at_another() {
    let url = fresh_postgres();
    let more = ["--database-url", url.as_str()];
    let one = ControlPlane::start_in(TempDir::new().unwrap(), &more);
    let dir = TempDir::new().unwrap();
    std::fs::copy(one.dir.path().join("master.key"), dir.path().join("master.key")).unwrap();
    let other = ControlPlane::start_in(dir, &more);
    let mut add = program();
    add.args(["token", "add", "admin", "--role", "admin", "--data-dir"]).arg(one.dir.path()).args(more);
    let admin = String::from_utf8(add.output().unwrap().stdout).unwrap().trim().to_owned();

    let mut agent = one.host(&admin, "web-01", &["/etc"]).await;
    // Its first poll takes the state; from then on it goes to the other server.
    agent.poll(&[], 1).await;
    agent.url.clone_from(&other.url);
    let host = agent.host;
    // A poll that nobody wakes is answered with nothing when its hold ends: it looks no more then.
    let parked = agent.poll(&[], 50);
    let pressed = async {
        while one.get(&admin, &format!("/api/v1/hosts/{host}")).await["state"] != "online" {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let (status, said) = one.post(&admin, &format!("/api/v1/hosts/{host}/run"), Value::Null).await;
        assert_eq!(status, 202, "{said}");
    };
    let (answer, ()) = tokio::join!(parked, pressed);
    assert_eq!(answer.offers.len(), 1, "{answer:?}");
}
