//! Updates that an administrator asks for on hosts of their choice: from the act over the API and the pages to the offer in the agent's poll, on
//! both databases. They go by the roll-out that runs, outlive a restart, and end with that roll-out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use restic_manager_shared::release::SigningKey;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::release::{TARGET, idle, offered, poll, publish};
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::time::Duration;
use support::fresh_postgres;
use tempfile::TempDir;
use tokio::time::timeout;

/// Four hosts that differ in what stands against an update, and one whose agent has yet to come. Roll-outs begin with the tag `canary`.
struct Fleet {
    server: ControlPlane,
    admin: String,
    operator: String,
    key: SigningKey,
    /// In the first stage.
    canary: FakeAgent,
    /// Out of it.
    plain: FakeAgent,
    /// Without a pinned key.
    bare: FakeAgent,
    /// Of a platform that nothing was built for.
    odd: FakeAgent,
    pending: String,
}

fn token(server: &ControlPlane, role: &str, more: &[&str]) -> String {
    let mut add = program();
    add.args(["token", "add", role, "--role", role, "--data-dir"]).arg(server.dir.path()).args(more);
    String::from_utf8(add.output().unwrap().stdout).unwrap().trim().to_owned()
}

impl Fleet {
    async fn new(more: &[&str]) -> Self {
        let server = ControlPlane::start_in(TempDir::new().unwrap(), more);
        let (admin, operator) = (token(&server, "admin", more), token(&server, "operator", more));
        let host = async |name: &str| server.host(&admin, name, &["/etc"]).await;
        let (canary, plain, bare, odd) =
            (host("a-canary").await, host("b-plain").await, host("c-bare").await, host("d-odd").await);
        let body = json!({"action": {"kind": "add_tag", "tag": "canary"}, "host_ids": [canary.host]});
        assert_eq!(server.post(&admin, "/api/v1/host-actions", body).await.0, 200);
        let body = json!({"host_name": "e-pending", "initial_paths": ["/etc"]});
        let (status, made) = server.post(&admin, "/api/v1/enrollment-tokens", body).await;
        assert_eq!(status, 201, "{made}");
        let pending = made["host_id"].as_str().unwrap().to_owned();
        let key = SigningKey::generate().unwrap();
        let fleet = Self { server, admin, operator, key, canary, plain, bare, odd, pending };
        fleet.all_poll().await;
        fleet
    }

    async fn all_poll(&self) {
        for (agent, update) in [
            (&self.canary, idle()),
            (&self.plain, idle()),
            (&self.bare, json!({"target": TARGET, "cannot": "no_key"})),
            (&self.odd, json!({"target": "linux-riscv64"})),
        ] {
            poll(agent, ("0.1.0", update), 1).await;
        }
    }

    /// Publishes a version and rolls it out to the tag `canary` first.
    async fn roll_out(&self, version: &str) {
        publish(&self.server, &self.admin, &self.key, version).await;
        let stages = json!([{"tag": "canary", "percent": 0, "healthy": 1, "hours": 9}, {"percent": 100}]);
        let (status, made) =
            self.server.post(&self.admin, "/api/v1/rollout", json!({"version": version, "stages": stages})).await;
        assert_eq!(status, 201, "{made}");
    }

    async fn turn(&self, how: &str) {
        let (status, told) = self.server.post(&self.admin, &format!("/api/v1/rollout/{how}"), Value::Null).await;
        assert_eq!(status, 200, "{how}: {told}");
    }

    fn all(&self) -> Value {
        let [canary, plain, bare, odd] =
            [&self.canary, &self.plain, &self.bare, &self.odd].map(|agent| agent.host.to_string());
        json!([canary, plain, bare, odd, self.pending])
    }

    /// Asks for updates, and answers effect and code of each host, by name.
    async fn ask(&self, ids: Value, dry_run: bool) -> Vec<(String, String)> {
        let body = json!({"action": {"kind": "update_agent"}, "host_ids": ids, "dry_run": dry_run});
        let (status, answer) = self.server.post(&self.admin, "/api/v1/host-actions", body).await;
        assert_eq!(status, 200, "{answer}");
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        answer["items"].as_array().unwrap().iter().map(|i| (text(&i["effect"]), text(&i["code"]))).collect()
    }

    /// What agents say is written back some seconds later.
    async fn until_told(&self, ids: Value, want: &[(&str, &str)]) {
        let want: Vec<(String, String)> = want.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        for _ in 0..150 {
            if self.ask(ids.clone(), true).await == want {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(self.ask(ids, true).await, want, "in half a minute");
    }

    async fn rollout(&self) -> Value {
        self.server.get(&self.admin, "/api/v1/rollout").await["rollout"].clone()
    }

    async fn until_rollout(&self, state: &str) {
        for _ in 0..200 {
            if self.rollout().await["state"] == state {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the roll-out is not {state} in 40 seconds: {}", self.rollout().await);
    }
}

/// When a server last heard of a host.
async fn heard(server: &ControlPlane, token: &str, agent: &FakeAgent) -> Value {
    server.get(token, &format!("/api/v1/hosts/{}", agent.host)).await["last_seen_at"].clone()
}

/// Waits until a server has heard of a host again. Its poll has registered for news then, or does so before it looks.
async fn until_parked(server: &ControlPlane, token: &str, agent: &FakeAgent, before: &Value) {
    while heard(server, token, agent).await == *before {
        tokio::task::yield_now().await;
    }
}

fn is(effect: &str, code: &str) -> Vec<(String, String)> {
    vec![(effect.into(), code.into())]
}

async fn each_host_is_offered_it_or_says_why_not(fleet: &mut Fleet) {
    let none = ("refused", "no_rollout");
    fleet.until_told(fleet.all(), &[none; 5]).await;
    fleet.roll_out("0.2.0").await;
    let want = [
        ("unchanged", "update_offered"),
        ("done", ""),
        ("refused", "no_release_key"),
        ("refused", "no_release_file"),
        ("refused", "host_not_enrolled"),
    ];
    fleet.until_told(fleet.all(), &want).await;
    assert_eq!(offered(&fleet.plain, "0.1.0", idle()).await, None, "a question changes nothing");
    for dry_run in [true, false] {
        let body = json!({"action": {"kind": "update_agent"}, "host_ids": fleet.all(), "dry_run": dry_run});
        let (status, said) = fleet.server.post(&fleet.operator, "/api/v1/host-actions", body).await;
        assert_eq!((status, &said["code"]), (403, &json!("forbidden")), "{said}");
    }
    // A poll that is parked hears of it at once.
    let before = heard(&fleet.server, &fleet.admin, &fleet.plain).await;
    let parked = poll(&fleet.plain, ("0.1.0", idle()), 50);
    let pressed = async {
        until_parked(&fleet.server, &fleet.admin, &fleet.plain, &before).await;
        fleet.ask(fleet.all(), false).await
    };
    let both = timeout(Duration::from_secs(20), async { tokio::join!(parked, pressed) }).await;
    let (answer, told) = both.expect("it is woken, and does not wait for its hold to end");
    let want: Vec<(String, String)> = want.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
    assert_eq!(told, want);
    assert_eq!(answer.release.map(|offer| offer.version).as_deref(), Some("0.2.0"));
    assert_eq!(offered(&fleet.bare, "0.1.0", json!({"target": TARGET, "cannot": "no_key"})).await, None);
    let plain = json!([fleet.plain.host]);
    assert_eq!(fleet.ask(plain, false).await, is("unchanged", "update_offered"), "once is enough");
    let gate = fleet.rollout().await["gate"].clone();
    assert_eq!((&gate["hosts"], &gate["asked"], &gate["needed"]), (&json!(1), &json!(1), &json!(1)), "{gate}");
    let told = fleet.server.get(&fleet.admin, "/api/v1/audit-events?limit=200").await;
    let asked: Vec<&Value> =
        told["items"].as_array().unwrap().iter().filter(|e| e["action"] == "host.update_agent").collect();
    assert_eq!(asked.len(), 1, "each host that is offered it, once: {asked:?}");
    assert!(asked[0].to_string().contains(&fleet.plain.host.to_string()), "{asked:?}");
}

async fn a_pause_holds_and_a_restart_forgets_nothing(fleet: &mut Fleet) {
    fleet.turn("pause").await;
    assert_eq!(offered(&fleet.plain, "0.1.0", idle()).await, None, "a pause offers nothing");
    assert_eq!(fleet.ask(json!([fleet.plain.host]), false).await, is("refused", "rollout_paused"));
    fleet.turn("resume").await;
    assert_eq!(offered(&fleet.plain, "0.1.0", idle()).await.as_deref(), Some("0.2.0"));
    fleet.server.crash();
    fleet.server.revive();
    let knows = json!({"target": TARGET, "wanted": "0.2.0", "phase": "fetching"});
    assert_eq!(offered(&fleet.plain, "0.1.0", knows).await.as_deref(), Some("0.2.0"));
}

async fn where_it_fails_the_roll_out_stops_and_it_is_tried_again_when_asked(fleet: &mut Fleet) {
    let plain = json!([fleet.plain.host]);
    let error = json!({"version": "0.2.0", "error": "self-check failed", "at": Timestamp::now()});
    let failed = json!({"target": TARGET, "failed": error});
    assert_eq!(offered(&fleet.plain, "0.1.0", failed.clone()).await, None);
    fleet.until_rollout("stopped").await;
    assert_eq!(fleet.ask(plain.clone(), false).await, is("refused", "rollout_stopped"));
    fleet.turn("resume").await;
    assert_eq!(offered(&fleet.plain, "0.1.0", failed.clone()).await, None, "it stays as it is");
    assert_eq!(fleet.ask(plain.clone(), false).await, is("done", ""), "and is tried again");
    assert_eq!(offered(&fleet.plain, "0.1.0", failed).await.as_deref(), Some("0.2.0"));
    assert_eq!(offered(&fleet.plain, "0.2.0", idle()).await, None, "has it");
    fleet.until_told(plain, &[("unchanged", "up_to_date")]).await;
    let rollout = fleet.rollout().await;
    assert_eq!((&rollout["state"], &rollout["stage"]), (&json!("running"), &json!(0)), "it opens no gate: {rollout}");
}

async fn another_roll_out_and_the_way_back_end_it(fleet: &mut Fleet) {
    let plain = json!([fleet.plain.host]);
    fleet.roll_out("0.3.0").await;
    assert_eq!(offered(&fleet.plain, "0.2.0", idle()).await, None, "what was asked for was another roll-out");
    assert_eq!(fleet.ask(plain.clone(), false).await, is("done", ""));
    assert_eq!(offered(&fleet.plain, "0.2.0", idle()).await.as_deref(), Some("0.3.0"));
    fleet.turn("advance").await;
    fleet.turn("advance").await;
    assert_eq!(fleet.rollout().await["state"], "done");
    fleet.roll_out("0.4.0").await;
    assert_eq!(fleet.ask(plain.clone(), false).await, is("done", ""));
    assert_eq!(offered(&fleet.plain, "0.2.0", idle()).await.as_deref(), Some("0.4.0"));
    fleet.turn("roll-back").await;
    assert_eq!(offered(&fleet.plain, "0.4.0", idle()).await.as_deref(), Some("0.3.0"), "as all others");
    assert_eq!(fleet.ask(plain, false).await, is("refused", "rolled_back"));
}

async fn the_whole_way(more: &[&str]) {
    let mut fleet = Fleet::new(more).await;
    each_host_is_offered_it_or_says_why_not(&mut fleet).await;
    a_pause_holds_and_a_restart_forgets_nothing(&mut fleet).await;
    where_it_fails_the_roll_out_stops_and_it_is_tried_again_when_asked(&mut fleet).await;
    another_roll_out_and_the_way_back_end_it(&mut fleet).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_goes_by_the_roll_out_on_sqlite() {
    the_whole_way(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_goes_by_the_roll_out_on_postgresql() {
    let url = fresh_postgres();
    the_whole_way(&["--database-url", url.as_str()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_is_asked_the_other_offers() {
    let url = fresh_postgres();
    let more = ["--database-url", url.as_str()];
    let mut fleet = Fleet::new(&more).await;
    let dir = TempDir::new().unwrap();
    std::fs::copy(fleet.server.dir.path().join("master.key"), dir.path().join("master.key")).unwrap();
    let releases = fleet.server.dir.path().join("releases");
    let shared = ["--releases-dir", releases.to_str().unwrap()];
    let other = ControlPlane::start_in(dir, &[&more[..], &shared[..]].concat());
    fleet.roll_out("0.2.0").await;
    fleet.until_told(json!([fleet.plain.host]), &[("done", "")]).await;
    fleet.plain.url.clone_from(&other.url);
    // Another server reads every few seconds what offers are made from, and then wakes whoever is new among them.
    let before = heard(&other, &fleet.admin, &fleet.plain).await;
    let parked = poll(&fleet.plain, ("0.1.0", idle()), 50);
    let pressed = async {
        until_parked(&other, &fleet.admin, &fleet.plain, &before).await;
        fleet.ask(json!([fleet.plain.host]), false).await
    };
    let both = timeout(Duration::from_secs(35), async { tokio::join!(parked, pressed) }).await;
    let (answer, told) = both.expect("it is woken, and does not wait for its hold to end");
    assert_eq!(told, is("done", ""));
    assert_eq!(answer.release.map(|offer| offer.version).as_deref(), Some("0.2.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_ask_before_and_only_administrators() {
    let fleet = Fleet::new(&[]).await;
    let (anna, ben) =
        (Visitor::sign_in(&fleet.server, "admin").await, Visitor::sign_in(&fleet.server, "operator").await);
    let (list, his) = (anna.open("/hosts").await.text, ben.open("/hosts").await.text);
    assert!(list.contains("value=\"update_agent\"") && !his.contains("value=\"update_agent\""), "{his}");
    let page = format!("/hosts/{}", fleet.plain.host);
    let ask = format!("/hosts/actions?do=update_agent&from=host&host={}", fleet.plain.host);
    assert_eq!(ben.open(&ask).await.status, 403);
    let nothing = anna.open(&ask).await;
    assert!(
        nothing.status == 200
            && nothing
                .text
                .contains("Nothing can be updated: no release is rolled out; publish and roll out a release first."),
        "{}",
        nothing.text
    );
    assert!(nothing.text.contains("href=\"/settings/releases\"") && !nothing.text.contains("btn-p\">"), "no button");
    assert!(!anna.open(&page).await.text.contains("do=update_agent"));

    fleet.roll_out("0.2.0").await;
    fleet.until_told(json!([fleet.plain.host]), &[("done", "")]).await;
    let own = anna.open(&page).await.text;
    assert!(own.contains("update now…") && !ben.open(&page).await.text.contains("update now…"), "{own}");
    let asked = anna.open(&ask).await.text;
    for part in ["Update the agent on 1 host?", "0.1.0 to 0.2.0", "name=\"from\" value=\"host\"", "Update 1</button>"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    assert!(asked.contains(&format!("<a class=\"btn\" href=\"{page}\">Leave it")), "{asked}");
    let ids: Vec<String> = serde_json::from_value(fleet.all()).unwrap();
    let (ids, one) = (ids.join(" "), fleet.plain.host.to_string());
    assert_eq!(ben.submit("/hosts/actions", &[("do", "update_agent"), ("ids", &one)]).await.status, 403);
    assert_eq!(offered(&fleet.plain, "0.1.0", idle()).await, None);
    let all = anna.open("/hosts/actions?do=update_agent&all=1").await.text;
    for part in ["1 of 5 hosts?", "no release key is pinned", "no file for its platform", "no agent has come yet"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let done = anna.submit("/hosts/actions", &[("do", "update_agent"), ("ids", &ids)]).await;
    assert!(done.status == 200 && done.text.contains("Update the agent: done on 1 of 5 hosts"), "{}", done.text);
    let form = [("do", "update_agent"), ("ids", &*one), ("from", "host")];
    let again = anna.submit("/hosts/actions", &form).await.text;
    assert!(again.contains("Back to the host") && again.contains("it is offered the release already"), "{again}");
    assert!(anna.open(&page).await.text.contains("is offered a new release"));
    assert_eq!(offered(&fleet.plain, "0.1.0", idle()).await.as_deref(), Some("0.2.0"));
    let releases = anna.open("/settings/releases").await.text;
    assert!(releases.contains("1 more host was asked for by hand"), "{releases}");
}
