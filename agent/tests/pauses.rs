//! Pauses without the control plane: what the host heard before it was cut off holds, over a restart too, and ends by itself.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use agent::app::Agent;
use agent::config::{Config, Inherited};
use agent::enroll::{Wish, enroll};
use agent::restic::binary::Finder;
use agent::state_dir::StateDir;
use agent::{poll, scheduler};
use common::control::Control;
use restic_manager_shared::id::{JobId, RepositoryId, ScheduleId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::pause::Pause;
use restic_manager_shared::wire::state::{BackupSpec, DesiredState, Firing, ScheduleSpec};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const HOUR: Duration = Duration::from_secs(3600);

fn hourly(id: ScheduleId, pauses: Vec<Pause>) -> ScheduleSpec {
    ScheduleSpec {
        id,
        name: "hourly".into(),
        enabled: true,
        manual: false,
        cron: Some("0 * * * *".into()),
        timezone: Some("UTC".into()),
        firing: Firing::default(),
        repository_id: Some(RepositoryId::new()),
        backup: BackupSpec { paths: vec!["/srv".into()], ..BackupSpec::default() },
        pauses,
    }
}

fn build(dir: &Path, config: &Config) -> Arc<Agent> {
    let dir = StateDir::open(dir).expect("opens");
    Arc::new(Agent::build(dir, config, Inherited::default(), None, None).expect("builds"))
}

/// Polls until the desired state is here.
async fn until_it_has_heard(agent: &Arc<Agent>) {
    let (press, stop) = watch::channel(false);
    let heard = async {
        while agent.desired.get().schedules.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = poll::run(agent, stop) => {}
        () = heard => {}
    }
    drop(press);
}

/// Looks at the clock at each minute of some hours, as the scheduler does.
fn live(agent: &Arc<Agent>, from: Timestamp, hours: u32) {
    for minute in 0..hours * 60 {
        let now = from + Duration::from_secs(u64::from(minute) * 60);
        scheduler::start_due(agent, now).expect("the journal takes it");
    }
}

/// Which of the fires so many hours after the first instant were acted on.
fn fired(agent: &Agent, schedule: ScheduleId, zero: Timestamp) -> Vec<u64> {
    let mut fired: Vec<u64> =
        agent.journal.fired(schedule).expect("reads").iter().map(|t| t.since(zero).as_secs() / 3600).collect();
    fired.sort_unstable();
    fired
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_while_the_control_plane_is_away_and_ends_by_itself() {
    let (control, home) = (Control::start(), tempfile::tempdir().expect("dir"));
    let config = Config { restic: Some("/nowhere/restic".into()), ..Config::new(&control.url()) };
    let dir = StateDir::open(home.path()).expect("opens");
    let finder = Finder::new(config.restic.clone(), Inherited::default());
    let token = Secret::new("token");
    enroll(&dir, Wish { config: config.clone(), token, name: None, force: false, release_keys: vec![] }, &finder)
        .await
        .expect("enrols");
    // A day that lies behind, so that nothing of it waits for the real clock.
    let zero = Timestamp::from_seconds(1_772_000_000 / 86_400 * 86_400);
    let hour = |n: u32| zero + n * HOUR;
    let (own, free) = (ScheduleId::new(), ScheduleId::new());
    let of_host = Pause { from: hour(3), until: Some(hour(5)) };
    let of_one = Pause { from: hour(7), until: Some(hour(9)) };
    control.memory().state = Some(DesiredState {
        version: 7,
        host_name: "web1".into(),
        schedules: vec![hourly(own, vec![of_one]), hourly(free, vec![])],
        repositories: vec![],
        pauses: vec![of_host],
    });
    let agent = build(home.path(), &config);
    until_it_has_heard(&agent).await;
    control.memory().away = true;
    let follow = |agent: &Agent, now| {
        let state = agent.desired.get();
        agent.fires.sync(&state, agent.identity.host_id, "UTC", now, &agent.journal).expect("follows");
    };
    follow(&agent, hour(0));
    live(&agent, hour(0), 4);
    let last = agent.fires.ledgers(hour(4), &agent.journal).expect("reads");
    assert!(last.iter().all(|l| !l.ended), "a paused line goes on: {last:?}");
    agent.roster.stop_all(agent::restic::process::StopReason::AgentStops);
    let before = fired(&agent, own, zero);
    assert_eq!(before, [1, 2], "not at 3: the host is paused");
    // As after a power cut in the middle of the pause: only the disk is left, and nobody is there to ask.
    while Arc::strong_count(&agent) > 1 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(agent);
    let agent = build(home.path(), &config);
    follow(&agent, hour(4));
    live(&agent, hour(4), 7);
    assert_eq!(
        fired(&agent, free, zero),
        [1, 2, 5, 6, 7, 8, 9, 10],
        "at 5 it is over, and 3 and 4 are not made up for"
    );
    assert_eq!(fired(&agent, own, zero), [1, 2, 5, 6, 9, 10], "7 and 8 are its own");
    assert!(agent.journal.place(JobId::of_fire(own, hour(7))).expect("reads").is_none());
}
