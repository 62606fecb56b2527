//! Channels: making, changing and deleting them, trying one, and who was told of what. Secrets go in and do not come out.

use super::channel_input::{ChannelInput, read};
use super::notices::HELD;
use super::{ActError, Listed, Noun, Refusal, Services, after, at_and_id, audit, page};
use crate::courier::Secrets;
use crate::domain::channel::{DeliveryState, Rules, Settings, Smtp, Webhook, What};
use crate::domain::notice::Notice;
use crate::domain::permission::Actor;
use crate::domain::summary::SummaryPlan;
use crate::store::channels::ChannelRecord;
use crate::store::told::DeliveryRecord;
use crate::store::{Conn, StoreError, alerts, channels, deliveries, summaries, told};
use restic_manager_shared::id::{AlertId, ChannelId, DeliveryId, MessageId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Channels that there may be: each alert asks all of them.
const MOST: i64 = 100;
/// What is said of news that waited for a channel when it was paused.
const PAUSED: &str = "The channel was paused.";
/// What is said of a summary that waited for a channel when it was to have none any more.
const NO_SUMMARY: &str = "The channel has no summary any more.";

/// A channel, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChannelView {
    /// Identity.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// Whether anything is sent there.
    pub enabled: bool,
    /// Mail.
    pub smtp: Option<Smtp>,
    /// An address on the web.
    pub webhook: Option<Webhook>,
    /// Of which alerts it tells, and when.
    pub rules: Rules,
    /// When it is told once a day how all hosts are.
    pub summary: Option<SummaryPlan>,
    /// When the next summary is due; none while the channel is paused.
    pub summary_next_at: Option<Timestamp>,
    /// When the other side took the last one.
    pub summary_sent_at: Option<Timestamp>,
    /// How many pieces of news wait for it.
    pub waiting: i64,
    /// What it was last sent.
    pub last: Option<Delivery>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

/// One piece of news on its way to one channel, or there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Delivery {
    /// Identity.
    pub id: DeliveryId,
    /// Where it goes.
    pub channel_id: ChannelId,
    /// That channel's name.
    pub channel: String,
    /// Of which alert it tells; none in a summary or a test.
    pub alert_id: Option<AlertId>,
    /// What it tells.
    pub what: What,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// When it is tried next; none once it is settled.
    pub next_attempt_at: Option<Timestamp>,
    /// Why the last try came to nothing.
    pub last_error: Option<String>,
    /// When the other side took it.
    pub sent_at: Option<Timestamp>,
    /// In which message it goes, once it was tried: a webhook's `Idempotency-Key`, a mail's Message-Id.
    pub message_id: Option<MessageId>,
    /// SHA-256 of what was sent, hex.
    pub digest: Option<String>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Tested {
    /// Whether the other side took it.
    pub delivered: bool,
    /// What it said, or what is in the way.
    pub said: String,
}

fn delivery(record: DeliveryRecord, name: &str) -> Delivery {
    let waits = record.state == DeliveryState::Pending;
    Delivery {
        id: record.id,
        channel_id: record.channel,
        channel: name.to_owned(),
        alert_id: record.alert,
        what: record.what,
        state: record.state,
        attempts: record.attempts,
        created_at: record.created_at,
        next_attempt_at: waits.then_some(record.next_attempt_at),
        last_error: record.last_error,
        sent_at: record.sent_at,
        message_id: record.message,
        digest: record.digest,
    }
}

fn view(conn: &mut Conn, record: ChannelRecord, waiting: i64) -> Result<ChannelView, StoreError> {
    let last = told::newest(conn, record.id)?.map(|last| delivery(last, &record.name));
    let summary_sent_at = summaries::last_sent(conn, record.id)?;
    let (smtp, webhook) = match record.settings {
        Settings::Smtp(smtp) => (Some(smtp), None),
        Settings::Webhook(webhook) => (None, Some(webhook)),
    };
    Ok(ChannelView {
        id: record.id,
        name: record.name,
        enabled: record.enabled,
        smtp,
        webhook,
        rules: record.rules,
        summary: record.summary,
        summary_next_at: record.summary_due,
        summary_sent_at,
        waiting,
        last,
        created_at: record.created_at,
        updated_at: record.updated_at,
    })
}

/// All channels, by name.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services) -> Result<Vec<ChannelView>, ActError> {
    s.db.read(|conn| {
        let waiting: HashMap<_, _> = told::waiting_by_channel(conn)?.into_iter().collect();
        let all = channels::list(conn)?.into_iter();
        Ok(all
            .map(|c| (waiting.get(&c.id).copied().unwrap_or(0), c))
            .map(|(n, c)| view(conn, c, n))
            .collect::<Result<_, _>>()?)
    })
    .await
}

/// One channel.
///
/// # Errors
/// When there is no such channel.
pub async fn get(s: &Services, id: ChannelId) -> Result<ChannelView, ActError> {
    s.db.read(move |conn| {
        let record = channels::get(conn, id)?.ok_or(ActError::NotFound(Noun::Channel))?;
        let waiting = told::waiting_by_channel(conn)?.into_iter().find(|(channel, _)| *channel == id);
        Ok(view(conn, record, waiting.map_or(0, |(_, n)| n))?)
    })
    .await
}

fn place(id: &str) -> (&'static str, &'static str, &str) {
    ("channels", "secrets", id)
}

fn seal(s: &Services, id: ChannelId, secrets: &Secrets) -> Result<Option<String>, ActError> {
    let text = |secret: &Option<Secret>| secret.as_ref().map(|s| s.reveal().to_owned());
    if secrets == &Secrets::default() {
        return Ok(None);
    }
    let plain = serde_json::json!({"url": text(&secrets.url), "secret": text(&secrets.secret)});
    let sealed = s.vault.seal(place(&id.to_string()), &plain.to_string());
    sealed.map(Some).map_err(|_| ActError::Internal("a secret cannot be encrypted"))
}

/// The secrets of a channel, for the one who sends.
///
/// # Errors
/// When the master key does not open them.
pub(super) fn unseal(s: &Services, record: &ChannelRecord) -> Result<Secrets, ActError> {
    #[derive(Deserialize)]
    struct Plain {
        url: Option<Secret>,
        secret: Option<Secret>,
    }
    let Some(sealed) = &record.secrets_sealed else { return Ok(Secrets::default()) };
    let broken = ActError::Internal("the secret of a channel does not open with the master key");
    let Ok(plain) = s.vault.open_sealed(place(&record.id.to_string()), sealed) else { return Err(broken) };
    let plain: Plain = serde_json::from_str(plain.reveal()).map_err(|_| broken)?;
    Ok(Secrets { url: plain.url, secret: plain.secret })
}

fn name_taken(error: StoreError) -> ActError {
    match error {
        StoreError::Duplicate(_) => Refusal::NameTaken("channel").into(),
        other => other.into(),
    }
}

/// What the audit log keeps of a channel.
fn told_of(record: &ChannelRecord) -> serde_json::Value {
    serde_json::json!({"name": record.name, "settings": record.settings, "enabled": record.enabled, "rules": record.rules,
        "summary": record.summary})
}

/// When the next summary of a channel is due, from now on.
fn next_summary(record: &ChannelRecord, now: Timestamp) -> Option<Timestamp> {
    record.summary.as_ref().filter(|_| record.enabled).and_then(|plan| plan.next_after(now))
}

/// Makes a channel.
///
/// # Errors
/// When fields are wrong, the name is taken, or there are too many.
pub async fn add(s: &Services, actor: &Actor, input: ChannelInput) -> Result<ChannelView, ActError> {
    let (settings, secrets) = read(&input, None)?;
    let (id, now, actor) = (ChannelId::new(), Timestamp::now(), actor.clone());
    let mut record = ChannelRecord {
        id,
        name: input.name,
        settings,
        secrets_sealed: seal(s, id, &secrets)?,
        enabled: input.enabled,
        rules: input.rules,
        created_at: now,
        updated_at: now,
        summary: input.summary,
        summary_due: None,
    };
    record.summary_due = next_summary(&record, now);
    s.db.write(move |conn| {
        if channels::count(conn)? >= MOST {
            return Err(ActError::field("/name", format!("there are {MOST} channels already")));
        }
        channels::insert(conn, &record).map_err(name_taken)?;
        Ok(audit::record(conn, &actor, now, "channel.add", &format!("channel:{id}"), &told_of(&record))?)
    })
    .await?;
    get(s, id).await
}

pub(super) async fn load(s: &Services, id: ChannelId) -> Result<ChannelRecord, ActError> {
    s.db.read(move |conn| channels::get(conn, id)?.ok_or(ActError::NotFound(Noun::Channel))).await
}

/// Changes a channel. What waits for it is tried at once with the new settings; if it is paused now, that is given up.
///
/// # Errors
/// When there is no such channel, fields are wrong, or the name is taken.
pub async fn update(s: &Services, actor: &Actor, id: ChannelId, input: ChannelInput) -> Result<ChannelView, ActError> {
    let before = load(s, id).await?;
    let kept = unseal(s, &before)?;
    let (settings, secrets) = read(&input, Some((&before.settings, &kept)))?;
    let (now, actor) = (Timestamp::now(), actor.clone());
    let record = ChannelRecord {
        name: input.name,
        settings,
        secrets_sealed: seal(s, id, &secrets)?,
        enabled: input.enabled,
        rules: input.rules,
        updated_at: now,
        summary: input.summary,
        ..before
    };
    s.db.write(move |conn| {
        let before = channels::get(conn, id)?.ok_or(ActError::NotFound(Noun::Channel))?;
        if !channels::update(conn, &record).map_err(name_taken)? {
            return Err(ActError::NotFound(Noun::Channel));
        }
        // Otherwise who sends it goes on from where it is.
        if (&before.summary, before.enabled) != (&record.summary, record.enabled) {
            summaries::set_due(conn, id, next_summary(&record, now))?;
        }
        if record.summary.is_none() {
            summaries::give_up(conn, id, NO_SUMMARY)?;
        }
        if record.enabled {
            deliveries::hurry(conn, id, now, now + HELD)?;
        } else {
            deliveries::give_up(conn, id, PAUSED)?;
        }
        Ok(audit::record(conn, &actor, now, "channel.update", &format!("channel:{id}"), &told_of(&record))?)
    })
    .await?;
    s.outbox.notify_one();
    get(s, id).await
}

/// Deletes a channel, with the record of what was sent there.
///
/// # Errors
/// When there is no such channel.
pub async fn delete(s: &Services, actor: &Actor, id: ChannelId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let record = channels::get(conn, id)?.ok_or(ActError::NotFound(Noun::Channel))?;
        channels::delete(conn, id)?;
        Ok(audit::record(conn, &actor, now, "channel.delete", &format!("channel:{id}"), &told_of(&record))?)
    })
    .await
}

/// Sends a test now and waits for what the other side says.
///
/// # Errors
/// When there is no such channel. That the test does not arrive is an answer.
pub async fn test(s: &Services, actor: &Actor, id: ChannelId) -> Result<Tested, ActError> {
    let record = load(s, id).await?;
    let secrets = unseal(s, &record)?;
    let (message, now, actor) = (MessageId::new(), Timestamp::now(), actor.clone());
    let notice =
        Notice { message: message.to_string(), items: vec![], more: 0, summary: None, link: super::notices::link(s) };
    let came_of_it = s.couriers.carry(&record.settings, &secrets, &notice, now).await;
    let (delivered, said) = match &came_of_it {
        Ok(taken) => (true, taken.said.clone()),
        Err(why) => (false, why.clone()),
    };
    let (told, name) = (said.clone(), record.name);
    s.db.write(move |conn| {
        if channels::get(conn, id)?.is_none() {
            return Err(ActError::NotFound(Noun::Channel));
        }
        let kept = came_of_it.as_ref().map(|taken| taken.digest.as_str()).map_err(String::as_str);
        deliveries::tested(conn, id, message, kept, now)?;
        let detail = serde_json::json!({"name": name, "delivered": delivered, "said": told});
        Ok(audit::record(conn, &actor, now, "channel.test", &format!("channel:{id}"), &detail)?)
    })
    .await?;
    Ok(Tested { delivered, said })
}

/// Who was told of an alert, the newest first. The cursor is the id of the last one seen.
///
/// # Errors
/// When there is no such alert, or the cursor is not one of ours.
pub async fn deliveries_of(
    s: &Services,
    id: AlertId,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Delivery>, ActError> {
    let before = after(cursor, |c| c.parse::<DeliveryId>().ok())?;
    let items =
        s.db.read(move |conn| {
            alerts::get(conn, id)?.ok_or(ActError::NotFound(Noun::Alert))?;
            let names = names(conn)?;
            let name = |channel| names.get(&channel).cloned().unwrap_or_default();
            let records = told::of_alert(conn, id, before, limit + 1)?;
            Ok::<_, ActError>(records.into_iter().map(|r| (name(r.channel), r)).map(|(n, r)| delivery(r, &n)).collect())
        })
        .await?;
    Ok(page(items, limit, |d: &Delivery| d.id.to_string()))
}

/// What goes to a channel and what went there, tests too, the newest first. The cursor is `<microseconds>.<delivery id>`.
///
/// # Errors
/// When there is no such channel, or the cursor is not one of this list.
pub async fn deliveries_to(
    s: &Services,
    id: ChannelId,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Delivery>, ActError> {
    let before = after(cursor, at_and_id)?;
    let items =
        s.db.read(move |conn| {
            let channel = channels::get(conn, id)?.ok_or(ActError::NotFound(Noun::Channel))?;
            let records = told::of_channel(conn, id, before, limit + 1)?;
            Ok::<_, ActError>(records.into_iter().map(|r| delivery(r, &channel.name)).collect())
        })
        .await?;
    Ok(page(items, limit, |d: &Delivery| format!("{}.{}", d.created_at.micros(), d.id)))
}

fn names(conn: &mut Conn) -> Result<HashMap<ChannelId, String>, StoreError> {
    Ok(channels::list(conn)?.into_iter().map(|c| (c.id, c.name)).collect())
}

/// How one channel stands to an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Of which alert.
    pub alert: AlertId,
    /// The channel's name.
    pub channel: String,
    /// How far what is told is.
    pub state: DeliveryState,
    /// When it was last taken there.
    pub at: Option<Timestamp>,
    /// The last trouble on the way.
    pub trouble: Option<String>,
}

/// Who was told of these alerts, all of a page at once; and whether there is any channel for alerts.
///
/// # Errors
/// When the database fails.
pub async fn told(s: &Services, ids: Vec<AlertId>) -> Result<(Vec<Told>, bool), ActError> {
    s.db.read(move |conn| {
        let channels = channels::list(conn)?;
        let names: HashMap<_, _> = channels.iter().map(|c| (c.id, &c.name)).collect();
        let rows = told::of_alerts(conn, &ids)?.into_iter();
        let told = rows.map(|(alert, channel, state, at, trouble)| Told {
            alert,
            channel: names.get(&channel).map(|name| (*name).clone()).unwrap_or_default(),
            state,
            at,
            trouble,
        });
        let mut told: Vec<Told> = told.collect();
        told.sort_by(|a, b| a.channel.cmp(&b.channel).then(a.state.cmp(&b.state)));
        Ok((told, channels.iter().any(|c| c.rules.alerts)))
    })
    .await
}
