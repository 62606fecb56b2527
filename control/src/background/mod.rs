//! Reconcilers: each has a period, no input, and may run at any time and any number of times. The next period is the retry.

mod alert_sender;

use crate::service::upkeep as service_upkeep;
use crate::service::{
    ActError, Services, drills, exports, ingest, notices, protection, rollouts, rotation, summaries, tokens, watch,
};
use actix_web::web::Data;
use restic_manager_shared::time::Timestamp;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it is written back who was heard from.
const SEEN: Duration = Duration::from_secs(5);
/// How often it is looked which runs were due.
const NEXT: Duration = Duration::from_secs(15);
/// How often uses of API tokens are written down: nobody needs them to the second.
const USES: Duration = Duration::from_secs(60);
/// How often it is looked which alerts are to be told again.
const REMINDERS: Duration = Duration::from_secs(60);
/// How often it is looked whether a daily summary is due.
const SUMMARIES: Duration = Duration::from_secs(15);
/// How often silent jobs are looked for in the time that they may be silent.
const LOOKS: u32 = 12;
/// How often it is looked how a roll-out goes.
const ROLLOUTS: Duration = Duration::from_secs(15);
/// How often it is looked whether an export is due.
const EXPORTS: Duration = Duration::from_secs(3600);

/// Starts all of them; they end when the server stops. What repositories need and how hosts stand is looked at every `upkeep`, or never if
/// that is zero; of hosts nobody is told before the server has run for `settle`.
#[must_use]
pub fn start(s: &Data<Services>, upkeep: Duration, settle: Duration) -> Vec<JoinHandle<()>> {
    let mut tasks = vec![
        every("seen", SEEN, s, |s| async move { ingest::write_back_seen(&s).await }),
        every("uses of tokens", USES, s, |s| async move { tokens::write_back_uses(&s).await }),
        every("silent jobs", (s.leased() / LOOKS).max(Duration::from_secs(1)), s, |s| async move {
            ingest::lose_silent(&s, Timestamp::now()).await
        }),
        every("next runs", NEXT, s, |s| async move { protection::follow_the_clock(&s, Timestamp::now()).await }),
        every("standings", NEXT, s, |s| async move { protection::judge_new(&s).await }),
        every("reminders", REMINDERS, s, |s| async move { notices::follow_the_clock(&s, Timestamp::now()).await }),
        every("summaries", SUMMARIES, s, |s| async move { summaries::queue_due(&s, Timestamp::now()).await }),
        alert_sender::start(s),
    ];
    tasks.push(every("roll-outs", ROLLOUTS, s, |s| async move { rollouts::advance(&s, Timestamp::now()).await }));
    if !upkeep.is_zero() {
        tasks.push(every(
            "upkeep",
            upkeep,
            s,
            |s| async move { service_upkeep::start_due(&s, Timestamp::now()).await },
        ));
        tasks.push(every("proofs", upkeep, s, |s| async move { service_upkeep::prove(&s, Timestamp::now()).await }));
        tasks.push(every("watch", upkeep, s, move |s| async move { watch_hosts(&s, settle, Timestamp::now()).await }));
        tasks.push(every("drills", upkeep, s, |s| async move { drills::start_due(&s, Timestamp::now()).await }));
        tasks.push(every("rotation", upkeep, s, |s| async move { rotation::advance(&s, Timestamp::now()).await }));
    }
    tasks
}

async fn watch_hosts(s: &Services, settle: Duration, now: Timestamp) -> Result<usize, ActError> {
    if now.since(s.started_at) < settle {
        return Ok(0);
    }
    watch::look(s, now).await
}

/// Makes an export each day.
#[must_use]
pub fn nightly(s: &Data<Services>, exports: exports::Nightly) -> JoinHandle<()> {
    let exports = Arc::new(exports);
    every("export", EXPORTS, s, move |_| {
        let exports = Arc::clone(&exports);
        async move {
            let made = tokio::task::spawn_blocking(move || exports.make_if_due(Timestamp::now())).await;
            match made.map_err(|_| ActError::Internal("the export panicked"))? {
                Ok(made) => Ok(usize::from(made)),
                Err(error) => {
                    tracing::error!(%error, "the daily export could not be made; it is tried again within the hour");
                    Ok(0)
                }
            }
        }
    })
}

fn every<F>(
    name: &'static str,
    period: Duration,
    s: &Data<Services>,
    act: impl Fn(Data<Services>) -> F + Send + 'static,
) -> JoinHandle<()>
where
    F: Future<Output = Result<usize, ActError>> + Send,
{
    let (s, mut stopping) = (s.clone(), s.stopping.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            match act(s.clone()).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(name, count, "background"),
                Err(error) => tracing::error!(name, %error, "background"),
            }
        }
    })
}
