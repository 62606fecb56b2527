//! Notices on their way: what waits for channels is taken, put together and handed to a courier, and what came of it is kept. No connection
//! of the database is held while something is sent.

use super::{ActError, Services, channels, names};
use crate::courier::Taken as Answered;
use crate::domain::alert::{About, Alert};
use crate::domain::channel::What;
use crate::domain::notice::{Item, NAMED, Notice};
use crate::domain::summary::Summary;
use crate::store::channels::ChannelRecord;
use crate::store::deliveries::Taken;
use crate::store::{alerts, channels as store_channels, deliveries, summaries};
use crate::words;
use futures_util::StreamExt as _;
use restic_manager_shared::id::MessageId;
use restic_manager_shared::time::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// Messages on their way at the same time, and taken at a time.
const AT_ONCE: usize = 16;
/// How long a message that was taken is left to who took it: longer than any courier needs.
pub(super) const HELD: Duration = Duration::from_secs(120);
/// How long it is kept what was sent.
const KEPT: Duration = Duration::from_secs(180 * 24 * 3600);

/// Where people look at alerts, if the server knows how it is reached.
pub(super) fn link(s: &Services) -> Option<String> {
    s.public_url.as_ref().map(|url| format!("{}/alerts", url.trim_end_matches('/')))
}

/// Where people see how all hosts are, if the server knows how it is reached.
pub(super) fn home(s: &Services) -> Option<String> {
    s.public_url.as_ref().map(|url| format!("{}/", url.trim_end_matches('/')))
}

/// Ends what was acknowledged until now, queues reminders that are due, and forgets what is long settled. Answers how many reminders.
///
/// # Errors
/// When the database fails.
pub async fn follow_the_clock(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    s.db.write(move |conn| {
        let lapsed = alerts::lapse(conn, now)?;
        for alert in &lapsed {
            deliveries::remind_of(conn, *alert, now)?;
        }
        deliveries::forget_settled(conn, now - KEPT)?;
        Ok(lapsed.len() + deliveries::remind(conn, now)?)
    })
    .await
}

/// Sends what is due, and waits until all of it is settled one way or the other. Answers how many messages were tried.
///
/// # Errors
/// When the database fails. That something does not arrive is kept with it.
pub async fn send_due(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    if !s.db.read(move |conn| Ok::<_, ActError>(deliveries::any_due(conn, now)?)).await? {
        return Ok(0);
    }
    let most = i64::try_from(AT_ONCE).unwrap_or(1);
    let taken = s.db.write(move |conn| Ok::<_, ActError>(deliveries::take(conn, now, now + HELD, most)?)).await?;
    let count = taken.len();
    futures_util::stream::iter(taken)
        .for_each_concurrent(AT_ONCE, |one| async move {
            if let Err(error) = send(s, one, now).await {
                tracing::error!(%error, "a message could not be settled; it is tried again");
            }
        })
        .await;
    Ok(count)
}

async fn send(s: &Services, taken: Taken, now: Timestamp) -> Result<(), ActError> {
    let Some((channel, notice)) = put_together(s, &taken).await? else { return Ok(()) };
    let came_of_it = match channels::unseal(s, &channel) {
        Ok(secrets) => s.couriers.carry(&channel.settings, &secrets, &notice, now).await,
        Err(error) => Err(words::courier::not_sent(&error)),
    };
    if let Err(why) = &came_of_it {
        tracing::warn!(channel = %channel.id, attempt = taken.attempt, why, "a message did not arrive");
    }
    settle(s, taken, came_of_it, now).await
}

async fn settle(
    s: &Services,
    taken: Taken,
    came_of_it: Result<Answered, String>,
    now: Timestamp,
) -> Result<(), ActError> {
    s.db.write(move |conn| {
        match &came_of_it {
            Ok(answer) => deliveries::sent(conn, &taken, &answer.digest, now)?,
            Err(why) => deliveries::failed(conn, &taken, why, now)?,
        };
        Ok(())
    })
    .await
}

/// What a message says: a summary as it was made, or alerts as they are now. None if its channel or all its alerts are gone.
async fn put_together(s: &Services, taken: &Taken) -> Result<Option<(ChannelRecord, Notice)>, ActError> {
    let (channel, message) = (taken.channel, taken.message);
    let named = i64::try_from(NAMED).unwrap_or(1);
    let (channel, summary, alerts, all) =
        s.db.read(move |conn| {
            let channel = store_channels::get(conn, channel)?;
            let summary = summaries::of_message(conn, message)?;
            let (alerts, all) = deliveries::contents(conn, message, named)?;
            Ok::<_, ActError>((channel, summary, alerts, all))
        })
        .await?;
    let Some(channel) = channel else { return Ok(None) };
    if let Some(summary) = summary {
        return Ok(Some((channel, of_summary(s, message, summary))));
    }
    if all == 0 {
        return Ok(None);
    }
    let more = all - i64::try_from(alerts.len()).unwrap_or(all);
    let items = items(s, alerts).await?;
    Ok(Some((channel, Notice { message: message.to_string(), items, more, summary: None, link: link(s) })))
}

/// A message that is a summary.
pub(super) fn of_summary(s: &Services, message: MessageId, summary: Summary) -> Notice {
    Notice { message: message.to_string(), items: vec![], more: 0, summary: Some(summary), link: home(s) }
}

async fn items(s: &Services, alerts: Vec<(What, Alert)>) -> Result<Vec<Item>, ActError> {
    let about: Vec<About> = alerts.iter().map(|(_, alert)| About::of(&alert.subject)).collect();
    let wanted = names::Wanted {
        hosts: about.iter().filter_map(|a| a.host).collect(),
        schedules: about.iter().filter_map(|a| a.schedule).collect(),
        repositories: about.iter().filter_map(|a| a.repository).collect(),
    };
    let found = names::of(s, wanted).await?;
    let hosts: HashMap<_, _> = found.hosts.into_iter().collect();
    let schedules: HashMap<_, _> = found.schedules.into_iter().collect();
    let repositories: HashMap<_, _> = found.repositories.into_iter().collect();
    let named = |about: &About| {
        words::notice::about(
            about.repository.and_then(|id| repositories.get(&id)),
            about.host.and_then(|id| hosts.get(&id)),
            about.schedule.and_then(|id| schedules.get(&id)),
        )
    };
    let item = |((event, alert), about): ((What, Alert), About)| Item {
        event,
        id: alert.id,
        kind: alert.kind,
        severity: alert.severity,
        title: words::alert::title(alert.kind),
        detail: alert.detail,
        about: named(&about),
        subject: alert.subject,
        opened_at: alert.opened_at,
        resolved_at: alert.resolved_at,
    };
    Ok(alerts.into_iter().zip(about).map(item).collect())
}
