//! What pages and lists cost at 24 hosts and at many: the time from the request to the last byte, over loopback, and what is sent. One line
//! for each, `name`, of each fleet the median and the 95th of a hundred, and how many times that of the small fleet the large one's is. Not
//! a test: nothing here passes or fails. Run by `deploy/bench` on release builds; with RESTIC_MANAGER_TEST_POSTGRES on PostgreSQL, too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)] // measuring needs a clock

use clap::Parser;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, COOKIE};
use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::visitor::Visitor;
use std::process::Command;
use std::time::Instant;
use tempfile::TempDir;

/// Requests of each address.
const ROUNDS: usize = 100;

const PAGES: [&str; 14] = [
    "/",
    "/ui/dashboard/live",
    "/hosts",
    "/hosts?state=failing",
    "/hosts?q=web&sort=name",
    "/jobs",
    "/jobs?state=failed",
    "/snapshots",
    "/repositories",
    "/alerts",
    "/search?q=web-01",
    "/api/v1/hosts",
    "/api/v1/jobs?limit=200",
    "/api/v1/snapshots",
];

/// How large the large fleet is.
#[derive(Parser)]
struct Args {
    #[arg(long, default_value_t = 5000)]
    hosts: usize,
    #[arg(long, default_value_t = 2_000_000)]
    jobs: usize,
}

/// Times in ms, sorted, and bytes plain and compressed.
struct Cost {
    times: Vec<f64>,
    plain: usize,
    sent: usize,
}

impl Cost {
    fn at(&self, percent: usize) -> f64 {
        self.times[(self.times.len() * percent / 100).min(self.times.len() - 1)]
    }
}

/// A seeded server.
struct Fleet {
    server: ControlPlane,
    token: String,
    cookie: String,
    /// Takes what is sent as it is.
    http: reqwest::Client,
}

impl Fleet {
    async fn sow(hosts: usize, days: u32, jobs: usize, database: Option<&str>) -> Self {
        let dir = TempDir::new().unwrap();
        let begun = Instant::now();
        let mut seed = program();
        seed.args(["dev", "seed", "--hosts", &hosts.to_string(), "--days", &days.to_string()]);
        seed.args(["--jobs", &jobs.to_string(), "--data-dir"]).arg(dir.path());
        let more: Vec<&str> = database.map(|url| ["--database-url", url]).into_iter().flatten().collect();
        let done = seed.args(&more).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        println!("{} ({:.0} s)", String::from_utf8_lossy(&done.stdout).trim(), begun.elapsed().as_secs_f64());
        let server = ControlPlane::start_in(dir, &more);
        let token = server.token("viewer");
        let cookie = Visitor::sign_in(&server, "viewer").await.cookie.clone();
        let http = reqwest::Client::builder().no_proxy().no_gzip().build().unwrap();
        Self { server, token, cookie, http }
    }

    async fn get(&self, path: &str, coding: &str) -> usize {
        let request = self.http.get(format!("{}{path}", self.server.url)).header(ACCEPT_ENCODING, coding);
        let request = match path.starts_with("/api/") {
            true => request.header(AUTHORIZATION, format!("Bearer {}", self.token)),
            false => request.header(COOKIE, &self.cookie),
        };
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success() || answer.status().is_redirection(), "{path}: {}", answer.status());
        answer.bytes().await.unwrap().len()
    }

    async fn cost(&self, path: &str) -> Cost {
        let (plain, sent) = (self.get(path, "identity").await, self.get(path, "gzip").await);
        let mut times = vec![];
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            self.get(path, "gzip").await;
            times.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        times.sort_by(f64::total_cmp);
        Cost { times, plain, sent }
    }
}

/// A new database beside the one that is given.
fn another(url: &str, name: &str) -> String {
    let made = Command::new("psql").args([url, "-q", "-c", &format!("CREATE DATABASE {name}")]).status().unwrap();
    assert!(made.success(), "the database {name} is made");
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    measure("SQLite", &args, [None, None]).await;
    if let Ok(url) = std::env::var("RESTIC_MANAGER_TEST_POSTGRES") {
        let (small, large) = (another(&url, "pages_small"), another(&url, "pages_large"));
        measure("PostgreSQL", &args, [Some(&small), Some(&large)]).await;
    }
}

async fn measure(name: &str, args: &Args, [small, large]: [Option<&str>; 2]) {
    println!("{name}:");
    let few = Fleet::sow(24, 30, 0, small).await;
    let many = Fleet::sow(args.hosts, 2, args.jobs, large).await;
    println!(
        "{:<24} {:>15} {:>15} {:>9} {:>17}",
        "ms median / p95",
        "24 hosts",
        format!("{} hosts", args.hosts),
        "ratio p95",
        "KiB plain / gzip"
    );
    for path in PAGES {
        let (a, b) = (few.cost(path).await, many.cost(path).await);
        println!(
            "{path:<24} {:>7.1} /{:>6.1} {:>7.1} /{:>6.1} {:>9.2} {:>9.1} /{:>6.1}",
            a.at(50),
            a.at(95),
            b.at(50),
            b.at(95),
            b.at(95) / a.at(95),
            b.plain as f64 / 1024.0,
            b.sent as f64 / 1024.0
        );
    }
}
