//! The sender of alerts: looks for messages that are due, every few seconds and when somebody says that there may be some. It has no memory:
//! what waits is in the database, and what did not arrive is found there again when its next try is due.

use crate::service::{Services, notices};
use actix_web::web::Data;
use restic_manager_shared::time::Timestamp;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it looks by itself.
const PERIOD: Duration = Duration::from_secs(5);

/// Starts it; it ends when the server stops, after what is on its way.
pub(super) fn start(s: &Data<Services>) -> JoinHandle<()> {
    let (s, mut stopping) = (s.clone(), s.stopping.clone());
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = s.outbox.notified() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            match notices::send_due(&s, Timestamp::now()).await {
                Ok(0) => {}
                // There may be more than go at a time.
                Ok(_) => s.outbox.notify_one(),
                Err(error) => tracing::error!(%error, "what channels wait for could not be looked at"),
            }
        }
    })
}
