//! Chaos by seed, and each of its faults once by name. Several threads: the proxy must answer while a program is waited for.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::calm::{calm, held, judged, release, until_restic_runs};
use restic_manager_tests::chaos::{self, Plan, Time};
use restic_manager_tests::proxy::Fault;
use restic_manager_tests::torment;

async fn by_seed(seed: u64, jobs: usize, agents: usize, time: Time) {
    println!("{}", chaos::run(Plan::new(seed, jobs, agents, time)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_in_fast_time() {
    by_seed(1, 900, 6, Time::Fast(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_with_another_seed() {
    by_seed(3, 500, 4, Time::Fast(20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_when_clocks_are_set() {
    by_seed(2, 300, 4, Time::Moved).await;
}

async fn a_fault_at(path: &'static str, fault: Fault) {
    let bed = calm().await;
    bed.proxy.order(path, fault);
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    bed.proxy.until_done().await;
    assert_eq!(judged(bed, &job).await.starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_whose_answer_is_lost_runs_once() {
    a_fault_at("/claim", Fault::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_arrives_twice_runs_once() {
    a_fault_at("/claim", Fault::Repeat).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_whose_answer_is_lost_is_one_end() {
    a_fault_at("/finish", Fault::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_whose_answer_is_lost_is_there_once() {
    a_fault_at("/chunks", Fault::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poll_answer_lost_after_the_job_was_dispatched_is_offered_again() {
    let bed = calm().await;
    let host = &bed.hosts[0];
    host.agent.until_said("new desired state").await;
    // The poll that is parked now was let through; this cuts it, and the next one loses its answer.
    bed.proxy.order("/poll", Fault::LoseAnswer);
    bed.proxy.cut_all();
    let job = bed.script.run(&host.lanes[0], "once").await;
    bed.proxy.until_done().await;
    bed.script.ended(&job).await;
    let attempt = bed.script.get(&format!("/api/v1/jobs/{job}")).await["attempt"].as_i64();
    assert!(attempt >= Some(2), "it was offered again under a new number: {attempt:?}");
    assert_eq!(judged(bed, &job).await.starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_job_posted_twice_is_one_job() {
    let bed = calm().await;
    let schedule = bed.hosts[0].lanes[0].clone();
    let (one, other) = tokio::join!(bed.script.run(&schedule, "key"), bed.script.run(&schedule, "key"));
    assert_eq!(one, other);
    bed.script.ended(&one).await;
    assert_eq!(bed.script.run(&schedule, "key").await, one, "also after its end");
    assert_eq!(judged(bed, &one).await.starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_during_a_job_hears_of_its_one_end() {
    let mut bed = held(Plan::calm()).await;
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    until_restic_runs(&bed).await;
    bed.control.crash();
    bed.control.revive();
    release(&bed);
    assert_eq!(judged(bed, &job).await.starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_connection_aborts_no_backup_and_loses_no_job() {
    let bed = held(Plan::calm()).await;
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    let pid = until_restic_runs(&bed).await;
    bed.proxy.cut_all();
    bed.proxy.order("/chunks", Fault::LoseRequest);
    bed.proxy.until_done().await;
    assert!(torment::running(bed.home()).contains(&pid), "restic was stopped");
    release(&bed);
    let figures = judged(bed, &job).await;
    assert_eq!((figures.starts, figures.corrected), (1, 0), "the reaper is not quicker than the reconnect");
    assert_eq!(figures.causes.get("agent_restarted"), None);
}
