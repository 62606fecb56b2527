//! The long run of the fault harness. Prints figures, or panics with what does not hold; the seed replays the same faults. The programs'
//! own logs go to standard error.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use clap::{Parser, ValueEnum};
use restic_manager_tests::chaos::{self, Plan, Time};

/// Runs jobs through cuts, kills and repeated requests, and says what was lost or doubled.
#[derive(Parser)]
struct Args {
    /// How many jobs.
    #[arg(long, default_value_t = 10_000)]
    jobs: usize,
    /// How many agents share them.
    #[arg(long, default_value_t = 10)]
    agents: usize,
    /// What the faults are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the time does.
    #[arg(long, value_enum, default_value_t = Clocks::True)]
    clocks: Clocks,
}

#[derive(Clone, Copy, ValueEnum)]
enum Clocks {
    /// Nothing special.
    True,
    /// It goes twenty times as fast, so that schedules fire often.
    Fast,
    /// Clocks are set forward and back.
    Moved,
}

#[tokio::main]
async fn main() {
    let Args { jobs, agents, seed, clocks } = Args::parse();
    let time = match clocks {
        Clocks::True => Time::True,
        Clocks::Fast => Time::Fast(20),
        Clocks::Moved => Time::Moved,
    };
    println!("{}", chaos::run(Plan::new(seed, jobs, agents, time)).await);
}
