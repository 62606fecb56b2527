//! What the product costs, measured beside a reference in the same run: one line per figure, `name figure reference ratio`. Not a test:
//! nothing here passes or fails. Run by `deploy/bench` on release builds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // measuring needs a clock

use restic_manager_tests::agent::Agent;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Pairs of a plain backup and one under the agent.
const PAIRS: usize = 5;
/// Run-now round trips.
const ROUNDS: usize = 200;

#[tokio::main]
async fn main() {
    cost_of_the_agent().await;
    run_now_latency().await;
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU seconds (own and waited-for children) and resident KiB of a process, from /proc.
fn cost(pid: u32) -> (f64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // After the name: state is field 3 of proc(5), utime to cstime are 14 to 17; 100 ticks a second on Linux.
    let ticks: f64 = fields[11..15].iter().map(|f| f.parse::<f64>().unwrap()).sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    (ticks / 100.0, rss.split_whitespace().next().unwrap().parse().unwrap())
}

/// 20,000 files, 200 MB, half random and half text.
fn make_source(dir: &Path) {
    for folder in 0..100 {
        let sub = dir.join(format!("folder-{folder}"));
        std::fs::create_dir_all(&sub).unwrap();
        for file in 0..200_u32 {
            let seed = ring::digest::digest(&ring::digest::SHA256, format!("{folder} {file}").as_bytes());
            let data = match file % 2 {
                0 => (0..320_u32)
                    .flat_map(|n| {
                        ring::digest::digest(&ring::digest::SHA256, &[seed.as_ref(), &n.to_be_bytes()].concat())
                            .as_ref()
                            .to_vec()
                    })
                    .collect(),
                _ => format!("line of file {file}\n").repeat(500).into_bytes(),
            };
            std::fs::write(sub.join(format!("file-{file}")), data).unwrap();
        }
    }
}

async fn cost_of_the_agent() {
    let fleet = Fleet::start(&["plain", "under-agent"]).await;
    let source = fleet.source("data");
    make_source(&source);
    let mut agent = fleet.host("under-agent", &[&source]).await;
    agent.start();
    fleet.ended(&fleet.run_now(&agent).await).await;
    fleet.storage.restic("plain", PASSWORD, &["init"]);
    let (mut plain_wall, mut plain_cpu, mut wall, mut cpu) = (vec![], vec![], vec![], vec![]);
    for pair in 0..=PAIRS {
        let before = cost(std::process::id()).0;
        let started = Instant::now();
        let mut command =
            fleet.storage.restic_command("plain", PASSWORD, &["backup", "--json", "--force", source.to_str().unwrap()]);
        assert!(command.env("RESTIC_PROGRESS_FPS", "1").output().unwrap().status.success());
        let plain = (started.elapsed().as_secs_f64(), cost(std::process::id()).0 - before);
        let before = cost(agent.pid()).0;
        touch(&source);
        let job = fleet.ended(&fleet.run_now(&agent).await).await;
        let under = (seconds_between(&job), cost(agent.pid()).0 - before);
        // The first pair warms the caches of both.
        if pair > 0 {
            plain_wall.push(plain.0);
            plain_cpu.push(plain.1);
            wall.push(under.0);
            cpu.push(under.1);
        }
    }
    line("backup wall, s", median(wall), median(plain_wall));
    line("backup CPU, s", median(cpu), median(plain_cpu));
    println!("idle RSS of the agent, KiB    {}", cost(agent.pid()).1);
    println!("idle RSS of control, KiB      {}", cost(fleet.control.pid()).1);
}

/// Makes restic read every file again, as `--force` does for the plain run.
fn touch(source: &Path) {
    assert!(
        Command::new("find").arg(source).args(["-type", "f", "-exec", "touch", "{}", "+"]).status().unwrap().success()
    );
}

fn seconds_between(job: &Value) -> f64 {
    let at = |field: &str| restic_manager_shared::time::Timestamp::parse(job[field].as_str().unwrap()).unwrap();
    at("finished_at").since(at("queued_at")).as_secs_f64()
}

/// From the POST to the start of restic: a scripted restic notes the moment that it was started.
async fn run_now_latency() {
    let fleet = Fleet::start(&["quick"]).await;
    let source = fleet.source("data");
    let script = fleet.sources.path().join("restic");
    let started_at = fleet.sources.path().join("started");
    let version =
        r#"{"message_type":"version","version":"0.18.0","go_version":"go1.24","go_os":"linux","go_arch":"amd64"}"#;
    let summary = format!(r#"{{"message_type":"summary","snapshot_id":"{}"}}"#, "a".repeat(64));
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *version*) echo '{version}'; exit;; esac\ndate +%s%N >>{}\necho '{summary}'\n",
        started_at.display()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    fleet.storage.restic("quick", PASSWORD, &["init"]);
    let mut agent: Agent = fleet.host("quick", &[&source]).await.with_restic(script);
    agent.start();
    fleet.ended(&fleet.run_now(&agent).await).await;
    let mut times = vec![];
    for _ in 0..ROUNDS {
        let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        fleet.ended(&fleet.run_now(&agent).await).await;
        let noted = std::fs::read_to_string(&started_at).unwrap();
        let nanos: u64 = noted.lines().last().unwrap().parse().unwrap();
        times.push(Duration::from_nanos(nanos).saturating_sub(before).as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "run now to restic's start, ms median {:.1}  p99 {:.1}  of {ROUNDS}",
        times[ROUNDS / 2],
        times[ROUNDS * 99 / 100]
    );
}

fn line(name: &str, figure: f64, reference: f64) {
    println!("{name:<29} {figure:.2}  plain restic {reference:.2}  ratio {:.3}", figure / reference);
}
