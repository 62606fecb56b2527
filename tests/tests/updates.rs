//! Real agents that replace themselves by signed releases of a real control plane, and what must hold when that goes wrong. The newer versions
//! are copies of the built agent with another version in its stamp, which is where the agent reads its own version.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::proxy::{Fault, Proxy};
use restic_manager_tests::tools::{built, output};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const OLD: &str = env!("CARGO_PKG_VERSION");
const NEW: &str = "9.9.1";
const MARK: &str = "RMAGENT-STAMP/1|";

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1200 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("in two minutes: {what}");
}

/// The built agent, with nothing in it that a service does not need.
fn stripped(folder: &Path) -> PathBuf {
    let path = folder.join("built");
    fs::copy(built("restic-manager-agent"), &path).unwrap();
    assert!(Command::new("strip").arg(&path).status().unwrap().success());
    path
}

/// A copy that says that it is another version.
fn copy_as(binary: &Path, version: &str, to: &Path) {
    let mut bytes = fs::read(binary).unwrap();
    let mark = format!("{MARK}{OLD} ");
    let at = bytes.windows(mark.len()).position(|w| w == mark.as_bytes()).expect("the stamp is there") + MARK.len();
    bytes[at..at + 32].fill(b' ');
    bytes[at..at + version.len()].copy_from_slice(version.as_bytes());
    fs::write(to, bytes).unwrap();
    fs::set_permissions(to, fs::metadata(binary).unwrap().permissions()).unwrap();
    assert_eq!(output(Command::new(to).arg("--version")), format!("restic-manager-agent {version}\n"));
}

/// A control plane, a release key, and a host that has pinned it.
struct Bench {
    control: ControlPlane,
    admin: String,
    work: TempDir,
    public: String,
    agent: Agent,
}

fn keygen(folder: &Path, name: &str) -> String {
    let made = output(program().args(["release", "keygen"]).arg(folder.join(name)));
    made.trim().to_owned()
}

fn version_of(agent: &Agent) -> String {
    let said = output(Command::new(&agent.program).arg("--version"));
    said.trim().rsplit(' ').next().unwrap().to_owned()
}

/// A host whose agent has a program of its own and has pinned the key.
async fn enrolled(
    control: &ControlPlane,
    url: Option<&str>,
    admin: &str,
    (work, public): (&TempDir, &str),
    name: &str,
) -> Agent {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    let own = dir.path().join("bin/restic-manager-agent");
    fs::copy(work.path().join("built"), &own).unwrap();
    let wish = json!({"host_name": name, "initial_paths": ["/etc/hostname"]});
    let (status, made) = control.post(admin, "/api/v1/enrollment-tokens", wish).await;
    assert_eq!(status, 201, "{made}");
    let url = url.unwrap_or(&control.url);
    Agent::enroll_with(url, &made, dir, own, &["--release-key", public]).unwrap()
}

impl Bench {
    async fn new() -> Self {
        Self::at(ControlPlane::start(), None).await
    }

    async fn at(control: ControlPlane, url: Option<&str>) -> Self {
        let work = TempDir::new().unwrap();
        let public = keygen(work.path(), "key");
        stripped(work.path());
        let admin = control.token("admin");
        let agent = enrolled(&control, url, &admin, (&work, &public), "web-01").await;
        Self { control, admin, work, public, agent }
    }

    /// Another host that has pinned the key.
    async fn another(&self, name: &str) -> Agent {
        enrolled(&self.control, None, &self.admin, (&self.work, &self.public), name).await
    }

    /// Seconds that a new version has to reach the control plane.
    fn prove_within(&self, seconds: u32) {
        let path = self.agent.dir.path().join("state/agent.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("prove_seconds = 600", &format!("prove_seconds = {seconds}"))).unwrap();
    }

    fn binary(&self, version: &str) -> PathBuf {
        let path = self.work.path().join(version);
        copy_as(&self.work.path().join("built"), version, &path);
        path
    }

    fn sign(&self, binary: &Path, key: &str) {
        let mut sign = program();
        sign.args(["release", "sign", "--rollback"]).arg(binary).arg("--key").arg(self.work.path().join(key));
        let said = output(&mut sign);
        assert!(said.contains("sha256"), "{said}");
    }

    /// Takes a signed binary in and rolls it out to all at once.
    async fn roll_out(&self, binary: &Path, version: &str) {
        self.roll_out_by(binary, version, json!([{"percent": 100}])).await;
    }

    async fn roll_out_by(&self, binary: &Path, version: &str, stages: Value) {
        let said = output(self.control.tool(&["release", "add"]).arg(binary));
        assert!(said.contains(version), "{said}");
        let (status, made) =
            self.control.post(&self.admin, "/api/v1/rollout", json!({"version": version, "stages": stages})).await;
        assert_eq!(status, 201, "{made}");
    }

    async fn host(&self) -> Value {
        self.control.get(&self.admin, &format!("/api/v1/hosts/{}", self.agent.host)).await
    }

    async fn until_host(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..600 {
            let host = self.host().await;
            if fits(&host) {
                return host;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("in two minutes: {what}: {}", self.host().await);
    }

    async fn until_runs(&self, version: &str) {
        let settled = |host: &Value| host["agent_version"] == version && host["update"]["phase"] == "idle";
        self.until_host(version, settled).await;
    }

    async fn until_rollout(&self, state: &str) -> Value {
        for _ in 0..900 {
            let told = self.control.get(&self.admin, "/api/v1/rollout").await;
            if told["rollout"]["state"] == state {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the roll-out is not {state} in three minutes");
    }

    /// Asks for the update of a host, whatever stage it is in; answers effect and code.
    async fn ask(&self, host: &Agent) -> (String, String) {
        let body = json!({"action": {"kind": "update_agent"}, "host_ids": [host.host]});
        let (status, told) = self.control.post(&self.admin, "/api/v1/host-actions", body).await;
        assert_eq!(status, 200, "{told}");
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        (text(&told["items"][0]["effect"]), text(&told["items"][0]["code"]))
    }

    /// Asks until what the agent said of itself is known.
    async fn until_asked(&self, host: &Agent) {
        for _ in 0..100 {
            match self.ask(host).await {
                (effect, code) if effect == "done" && code.is_empty() => return,
                (_, code) => assert!(matches!(&*code, "update_unknown"), "{code}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("nothing is known of the agent in 20 seconds");
    }

    /// The version of the program that a service manager would start.
    fn installed(&self) -> String {
        version_of(&self.agent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_takes_a_signed_release_and_goes_back_when_told() {
    let mut bench = Bench::new().await;
    bench.agent.start();
    bench.until_host("online", |host| host["update"]["target"].is_string()).await;
    // What runs is a release too: it is there to go back to.
    let old = bench.work.path().join("built");
    bench.sign(&old, "key");
    bench.roll_out(&old, OLD).await;
    bench.until_rollout("done").await;
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    let pid = bench.agent.pid();
    bench.roll_out(&new, NEW).await;
    bench.until_runs(NEW).await;
    assert_eq!((bench.installed().as_str(), bench.agent.pid()), (NEW, pid));
    let told = bench.until_rollout("done").await;
    assert_eq!((told["rollout"]["updated"].as_u64(), &told["versions"][0]["version"]), (Some(1), &json!(NEW)));
    let status = bench.agent.status();
    assert!(status.contains(NEW) && status.contains("signed releases are taken"), "{status}");
    let (status, told) = bench.control.post(&bench.admin, "/api/v1/rollout/roll-back", Value::Null).await;
    assert_eq!((status, told["state"].as_str()), (200, Some("rolled_back")), "{told}");
    bench.until_runs(OLD).await;
    assert_eq!(bench.installed(), OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_asked_for_updates_itself_out_of_its_stage_and_no_other_does() {
    let mut bench = Bench::new().await;
    let mut other = bench.another("web-02").await;
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    bench.agent.start();
    other.start();
    // A first stage that nobody is in, for long.
    let stages = json!([{"tag": "canary", "percent": 0, "healthy": 1, "hours": 9}, {"percent": 100}]);
    bench.roll_out_by(&new, NEW, stages).await;
    bench.until_asked(&bench.agent).await;
    bench.until_runs(NEW).await;
    assert_eq!((bench.installed().as_str(), version_of(&other).as_str()), (NEW, OLD));
    // The gate knows of both, and has not opened.
    let told = bench.until_rollout("running").await;
    let gate = &told["rollout"]["gate"];
    assert_eq!(
        (&told["rollout"]["stage"], &gate["hosts"], &gate["asked"]),
        (&json!(0), &json!(0), &json!(1)),
        "{told}"
    );
    let host = bench.control.get(&bench.admin, &format!("/api/v1/hosts/{}", other.host)).await;
    assert_eq!((host["agent_version"].as_str(), host["update"]["wanted"].as_str()), (Some(OLD), None), "{host}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_was_asked_for_and_fails_stops_the_roll_out() {
    let mut bench = Bench::new().await;
    keygen(bench.work.path(), "other");
    let new = bench.binary(NEW);
    bench.sign(&new, "other");
    bench.agent.start();
    let stages = json!([{"tag": "canary", "percent": 0, "healthy": 1, "hours": 9}, {"percent": 100}]);
    bench.roll_out_by(&new, NEW, stages).await;
    bench.until_asked(&bench.agent).await;
    let told = bench.until_rollout("stopped").await;
    assert_eq!((told["failed"][0]["host"].as_str(), &told["rollout"]["stage"]), (Some("web-01"), &json!(0)), "{told}");
    assert_eq!(bench.ask(&bench.agent).await, ("refused".into(), "rollout_stopped".into()));
    assert_eq!(bench.control.post(&bench.admin, "/api/v1/rollout/resume", Value::Null).await.0, 200);
    assert_eq!(bench.ask(&bench.agent).await, ("done".into(), String::new()), "it is tried again");
    let again = |host: &Value| {
        host["update"]["failed"]["at"] != Value::Null && host["update"]["failed"]["at"] != told["failed"][0]["at"]
    };
    bench.until_host("it is refused again", again).await;
    bench.until_rollout("stopped").await;
    assert_eq!(bench.installed(), OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_of_another_key_is_refused_told_and_not_offered_again() {
    let mut bench = Bench::new().await;
    keygen(bench.work.path(), "other");
    let new = bench.binary(NEW);
    bench.sign(&new, "other");
    bench.agent.start();
    bench.roll_out(&new, NEW).await;
    let host = bench.until_host("the refusal", |host| host["update"]["failed"].is_object()).await;
    let why = host["update"]["failed"]["error"].as_str().unwrap();
    assert!(why.contains("not among the pinned ones"), "{why}");
    let told = bench.until_rollout("stopped").await;
    assert_eq!(
        (told["failed"][0]["host"].as_str(), told["failed"][0]["version"].as_str()),
        (Some("web-01"), Some(NEW))
    );
    let alerts = bench.control.get(&bench.admin, "/api/v1/alerts").await;
    assert!(alerts["items"].as_array().unwrap().iter().any(|a| a["kind"] == "rollout_stopped"), "{alerts}");
    // Going on leaves that host alone.
    assert_eq!(bench.control.post(&bench.admin, "/api/v1/rollout/resume", Value::Null).await.0, 200);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let host = bench.host().await;
    assert_eq!((host["agent_version"].as_str(), host["update"]["wanted"].as_str()), (Some(OLD), None), "{host}");
    assert_eq!(bench.installed(), OLD);
    let retry = format!("/api/v1/hosts/{}/update/retry", bench.agent.host);
    assert_eq!(bench.control.post(&bench.admin, &retry, Value::Null).await.0, 204);
    let again = |host: &Value| {
        host["update"]["failed"]["at"] != Value::Null && host["update"]["failed"]["at"] != told["failed"][0]["at"]
    };
    bench.until_host("it is tried again when a person says so, and refused again", again).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_a_key_or_with_a_policy_against_it_is_offered_nothing() {
    let mut bench = Bench::new().await;
    fs::remove_file(bench.agent.dir.path().join("state/update.keys")).unwrap();
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    bench.agent.start();
    bench.roll_out(&new, NEW).await;
    bench.until_host("no key", |host| host["update"]["cannot"] == "no_key").await;
    assert!(bench.agent.status().contains("no release key is pinned"));
    fs::write(bench.agent.dir.path().join("state/policy.toml"), "updates = \"never\"\n").unwrap();
    bench.agent.stop();
    bench.agent.start();
    let host = bench.until_host("forbidden", |host| host["update"]["cannot"] == "forbidden").await;
    assert!(host["update"]["wanted"].is_null(), "{host}");
    // Nobody can update, so nobody is waited for.
    bench.until_rollout("done").await;
    assert_eq!(bench.installed(), OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_cut_goes_on_where_it_broke() {
    let control = ControlPlane::start();
    let proxy = Proxy::before(&control.url, 1).await;
    let mut bench = Bench::at(control, Some(&proxy.url)).await;
    proxy.order("/linux-x86_64", Fault::CutAnswer);
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    bench.agent.start();
    bench.roll_out(&new, NEW).await;
    bench.until_runs(NEW).await;
    proxy.until_done().await;
    let log = bench.agent.log();
    assert!(log.contains("tried again from where it broke off"), "{log}");
    // The server sends from any offset, and says so.
    let agent = format!("/agent/v1/releases/{NEW}/linux-x86_64");
    assert_eq!(bench.control.call(&bench.admin, Method::GET, &agent, Value::Null).await.0, 401, "for agents only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_reach_the_control_plane_is_taken_back() {
    let mut bench = Bench::new().await;
    bench.prove_within(4);
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    bench.agent.start();
    bench.roll_out(&new, NEW).await;
    bench.agent.until_said("is in place and is started").await;
    bench.control.crash();
    bench.agent.until_said("the version of the agent from before is put back").await;
    until("the old version is back", || (bench.installed() == OLD).then_some(()));
    bench.control.revive();
    let failed = |host: &Value| host["agent_version"] == OLD && host["update"]["failed"]["version"] == NEW;
    let host = bench.until_host("the failure is told", failed).await;
    let why = host["update"]["failed"]["error"].as_str().unwrap();
    assert!(why.contains("did not reach the control plane within 4 seconds"), "{why}");
    bench.until_rollout("stopped").await;
}

/// A program that works when it is tried and ends at once when it runs.
fn dud(bench: &Bench) -> PathBuf {
    let path = bench.work.path().join("dud");
    let stamp = format!("{MARK}{NEW:<32}{:<32}00003   |END", "linux-x86_64");
    let check = format!("[ \"$1\" = self-check ] && {{ echo 'version={NEW} works here'; exit 0; }}");
    fs::write(&path, format!("#!/bin/sh\n# {stamp}\n{check}\nexit 1\n")).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_start_is_taken_back_by_the_one_before() {
    let mut bench = Bench::new().await;
    let dud = dud(&bench);
    bench.sign(&dud, "key");
    bench.agent.start();
    bench.roll_out(&dud, NEW).await;
    bench.agent.wait();
    let previous = bench.agent.program.with_file_name("restic-manager-agent.previous");
    // As a service manager does with the unit in docs/releases.md.
    let mut starts = 0;
    loop {
        let state = bench.agent.dir.path().join("state");
        assert!(Command::new(&previous).args(["guard", "--state-dir"]).arg(state).status().unwrap().success());
        bench.agent.start();
        if fs::read(&bench.agent.program).unwrap() != fs::read(&dud).unwrap() {
            break;
        }
        bench.agent.wait();
        starts += 1;
        assert!(starts < 5, "it is not taken back");
    }
    assert_eq!(starts, 3);
    let failed = |host: &Value| host["update"]["failed"]["version"] == NEW;
    bench.until_host("the failure is told", failed).await;
    assert_eq!(bench.installed(), OLD);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_fails_its_trial_is_never_put_in_place() {
    let mut bench = Bench::new().await;
    let path = bench.work.path().join("broken");
    let stamp = format!("{MARK}{NEW:<32}{:<32}00003   |END", "linux-x86_64");
    fs::write(&path, format!("#!/bin/sh\n# {stamp}\necho 'it lacks a library' >&2\nexit 127\n")).unwrap();
    bench.sign(&path, "key");
    bench.agent.start();
    let pid = bench.agent.pid();
    bench.roll_out(&path, NEW).await;
    let host = bench.until_host("the failure", |host| host["update"]["failed"]["version"] == NEW).await;
    let why = host["update"]["failed"]["error"].as_str().unwrap();
    assert!(why.contains("self-check failed") && why.contains("it lacks a library"), "{why}");
    assert_eq!((bench.installed().as_str(), bench.agent.pid()), (OLD, pid));
    assert!(!bench.agent.program.with_file_name("restic-manager-agent.new").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_there_is_an_agent_that_runs() {
    let mut bench = Bench::new().await;
    let new = bench.binary(NEW);
    bench.sign(&new, "key");
    bench.agent.start();
    bench.roll_out(&new, NEW).await;
    let mut kills = 0;
    // Later and later, so that each step is hit: fetching, trying, swapping, the first start of the new version.
    for after in (0..40).map(|n| Duration::from_millis(20 + n * 45)) {
        tokio::time::sleep(after).await;
        bench.agent.kill();
        kills += 1;
        let installed = bench.installed();
        assert!(installed == OLD || installed == NEW, "{installed}");
        bench.agent.start();
        if installed == NEW && bench.host().await["update"]["phase"] == "idle" {
            break;
        }
    }
    assert!(kills > 2);
    // A new version that was killed three times before it got through counts as one that does not work: then it is asked for once more.
    let host =
        bench.until_host("an end", |host| host["agent_version"] == NEW || host["update"]["failed"].is_object()).await;
    if host["agent_version"] != NEW {
        let retry = format!("/api/v1/hosts/{}/update/retry", bench.agent.host);
        bench.until_rollout("stopped").await;
        assert_eq!(bench.control.post(&bench.admin, &retry, Value::Null).await.0, 204);
        assert_eq!(bench.control.post(&bench.admin, "/api/v1/rollout/resume", Value::Null).await.0, 200);
    }
    bench.until_runs(NEW).await;
    assert_eq!(bench.installed(), NEW);
}
