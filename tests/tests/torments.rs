//! What others got wrong in public, each once by name: a full disk, a killed agent's log, a reaper that is quicker than the reconnect, and
//! clocks that jump.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::calm::{
    all_judged, calm_with, held, judged, release, until_heard, until_in_force, until_restic_runs, until_restics_run,
};
use restic_manager_tests::chaos::{Plan, Time};
use restic_manager_tests::torment;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_jobs_with_its_cause_and_damages_nothing() {
    let mut bed = calm_with(Plan { disk: true, ..Plan::calm() }).await;
    if bed.hosts[0].agent.disk.is_none() {
        return; // said by the harness: mounts are not possible here
    }
    until_in_force(&bed).await;
    let lane = bed.hosts[0].lanes[0].clone();
    bed.hosts[0].agent.disk.as_ref().unwrap().fill();
    let refused = bed.script.run(&lane, "full").await;
    bed.script.ended(&refused).await;
    let job = bed.script.get(&format!("/api/v1/jobs/{refused}")).await;
    assert_eq!((job["state"].as_str(), job["result"]["cause"]["code"].as_str()), (Some("failed"), Some("agent_disk")));
    bed.hosts[0].agent.disk.as_ref().unwrap().free();
    let ran = bed.script.run(&lane, "room again").await;
    bed.script.ended(&ran).await;
    // What is on the disk is whole: a fresh agent goes on with it.
    bed.hosts[0].agent.stop();
    bed.hosts[0].agent.start();
    let after = bed.script.run(&lane, "after a restart").await;
    bed.script.ended(&after).await;
    assert!(!bed.hosts[0].agent.log().contains("the journal was damaged"));
    let figures = all_judged(bed, &[refused, ran, after]).await;
    assert_eq!(figures.causes.get("agent_disk"), Some(&1));
    assert_eq!(figures.starts, 2, "restic did not start for the one that could not be written down");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_during_a_run_loses_neither_its_end_nor_its_log() {
    let bed = held(Plan { disk: true, ..Plan::calm() }).await;
    let Some(disk) = &bed.hosts[0].agent.disk else { return };
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    until_restic_runs(&bed).await;
    disk.fill();
    release(&bed);
    bed.script.ended(&job).await;
    disk.free();
    assert_eq!(judged(bed, &job).await.starts, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_agent_had_heard_is_in_the_log_of_its_job() {
    let mut bed = held(Plan::calm()).await;
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    until_restic_runs(&bed).await;
    // With the cable out nothing of it can have been told before.
    bed.proxy.shut(true);
    let heard = until_heard(&bed.hosts[0].agent, &job, "chaos 20 of").await;
    assert_eq!(heard.len(), 20);
    bed.hosts[0].agent.kill();
    bed.proxy.shut(false);
    bed.hosts[0].agent.start();
    bed.script.ended(&job).await;
    let events = bed.script.get(&format!("/api/v1/jobs/{job}/events?after=0")).await;
    let told: Vec<&str> = events["lines"].as_array().unwrap().iter().filter_map(|l| l["text"].as_str()).collect();
    assert!(heard.iter().all(|line| told.contains(&line.as_str())), "{heard:?} {told:?}");
    let figures = judged(bed, &job).await;
    assert_eq!(figures.causes.get("agent_restarted"), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reaper_that_is_quicker_than_the_reconnect_is_corrected() {
    let bed = held(Plan { lease: 2, ..Plan::calm() }).await;
    let job = bed.script.run(&bed.hosts[0].lanes[0], "once").await;
    let pid = until_restic_runs(&bed).await;
    bed.proxy.shut(true);
    bed.script.ended(&job).await;
    assert_eq!(bed.script.get(&format!("/api/v1/jobs/{job}")).await["state"], "lost");
    assert!(torment::running(bed.home()).contains(&pid), "the backup runs on, whoever gave it up");
    bed.proxy.shut(false);
    release(&bed);
    let figures = judged(bed, &job).await;
    assert_eq!((figures.starts, figures.corrected), (1, 1));
    assert_eq!(figures.causes.get("agent_restarted"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_jump_requeue_nothing() {
    let bed = held(Plan { lanes: 3, time: Time::Moved, lease: 20, ..Plan::calm() }).await;
    let lanes = bed.hosts[0].lanes.clone();
    let mut jobs = vec![bed.script.run(&lanes[0], "one").await, bed.script.run(&lanes[1], "two").await];
    until_restics_run(&bed, 2).await;
    // One more is on its way and has not arrived when the control plane's clock jumps ahead, and all leases end at once.
    bed.proxy.shut(true);
    jobs.push(bed.script.run(&lanes[2], "three").await);
    bed.clocks[0].set(26 * 3600);
    bed.script.ended(&jobs[0]).await;
    bed.script.ended(&jobs[1]).await;
    bed.proxy.shut(false);
    // The same once more: back, and the host's clock the other way.
    bed.clocks[0].set(-3600);
    bed.clocks[1].set(5 * 3600);
    release(&bed);
    let figures = all_judged(bed, &jobs).await;
    assert_eq!((figures.starts, figures.corrected), (3, 2), "each ran once");
}
