//! The long run of the fault harness: `fleet-chaos --jobs N --agents N --seed S`. Prints figures, or panics with what does not hold; the
//! seed replays the same faults. The programs' own logs go to standard error.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::chaos::{self, Plan};

fn option(args: &[String], name: &str, otherwise: u64) -> u64 {
    let at = args.iter().position(|a| a == name);
    at.map_or(otherwise, |at| args.get(at + 1).and_then(|v| v.parse().ok()).expect("a number after each option"))
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let jobs = usize::try_from(option(&args, "--jobs", 10_000)).unwrap();
    let agents = usize::try_from(option(&args, "--agents", 10)).unwrap();
    let plan = Plan::new(option(&args, "--seed", 1), jobs, agents);
    println!("{}", chaos::run(plan).await);
}
