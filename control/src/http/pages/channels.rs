//! Channels: where people are told of alerts, what each was last sent, trying one, and taking one away. The form is `channel_form`.

use super::door::{View, go};
use super::engine::Page;
use super::repository::access::Sure;
use crate::domain::alert::AlertKind;
use crate::domain::channel::{DeliveryState, Preset, What};
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::channels::{ChannelView, Delivery};
use crate::service::{Services, channels, summaries};
use crate::words::Moment;
use crate::words::alert::{rule, title};
use crate::words::channel as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::ChannelId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// All channels.
#[derive(Debug, Serialize)]
pub struct ChannelsPage {
    /// The open tab.
    pub tab: &'static str,
    /// The channels, by name.
    pub channels: Vec<ChannelRow>,
    /// What came of a test that was just sent.
    pub tested: Option<TestLine>,
    /// What raises an alert.
    pub conditions: Vec<ConditionLine>,
}

/// What raises an alert.
#[derive(Debug, Serialize)]
pub struct ConditionLine {
    /// The condition.
    pub title: &'static str,
    /// How bad it is.
    pub level: &'static str,
    /// From when on it holds.
    pub limit: &'static str,
}

impl ConditionLine {
    const fn of(kind: AlertKind) -> Self {
        let (level, limit) = rule(kind);
        Self { title: title(kind), level, limit }
    }
}

impl Page for ChannelsPage {
    const TEMPLATE: &'static str = "pages/channels.html";
    const NAV: &'static str = "alerts";
}

/// What came of a test, or of a summary that somebody had sent.
#[derive(Debug, Serialize)]
pub struct TestLine {
    /// Which channel.
    pub channel: String,
    /// Whether it was a summary.
    pub summary: bool,
    /// Whether it arrived.
    pub delivered: bool,
    /// What the other side said, or what is in the way.
    pub said: String,
}

/// A channel in the list.
#[derive(Debug, Serialize)]
pub struct ChannelRow {
    /// Identity.
    pub id: String,
    /// The icon's name.
    pub icon: &'static str,
    /// Its name.
    pub name: String,
    /// Where it leads, as far as that is no secret.
    pub whither: String,
    /// Whether it is paused.
    pub paused: bool,
    /// What it sends.
    pub sends: String,
    /// When it says things again, and what goes together.
    pub timing: String,
    /// When it has its summary.
    pub summary: Option<String>,
    /// When the last one arrived.
    pub summed_up: Option<Moment>,
    /// For which hosts.
    pub hosts: String,
    /// How many pieces of news wait.
    pub waiting: i64,
    /// What it was last sent.
    pub last: Option<LastLine>,
}

/// What a channel was last sent.
#[derive(Debug, Serialize)]
pub struct LastLine {
    /// The colour's class.
    pub class: &'static str,
    /// The icon's name.
    pub icon: &'static str,
    /// How it went.
    pub word: &'static str,
    /// When.
    pub at: Moment,
    /// What was in the way.
    pub trouble: Option<String>,
    /// When it is tried again.
    pub again: Option<Moment>,
}

/// The icon of a kind of receiver.
#[must_use]
pub const fn preset_icon(preset: Preset) -> &'static str {
    match preset {
        Preset::Generic | Preset::PagerDuty => "webhook",
        Preset::Slack | Preset::Discord | Preset::Teams => "chat",
        Preset::Ntfy | Preset::Gotify => "push",
    }
}

pub(super) fn last(delivery: &Delivery, now: Timestamp) -> LastLine {
    let (class, icon, word) = match (delivery.state, &delivery.last_error) {
        (DeliveryState::Sent, _) => ("ok", "ok", words::DELIVERED),
        (DeliveryState::Pending, Some(_)) => ("warn", "warn", words::NOT_YET),
        (DeliveryState::Pending, None) => ("run", "run", words::ON_ITS_WAY),
        (DeliveryState::Failed, _) if delivery.what == What::Summary => ("bad", "bad", words::NOT_DELIVERED),
        (DeliveryState::Failed, _) => ("bad", "bad", words::TEST_FAILED),
        (DeliveryState::GivenUp, _) => ("bad", "bad", words::GIVEN_UP),
    };
    LastLine {
        class,
        icon,
        word,
        at: Moment::new(delivery.sent_at.unwrap_or(delivery.created_at), now),
        trouble: delivery.last_error.clone(),
        again: delivery.next_attempt_at.map(|at| Moment::new(at, now)),
    }
}

fn row(channel: ChannelView, now: Timestamp) -> ChannelRow {
    let (icon, whither) = match (&channel.smtp, &channel.webhook) {
        (Some(smtp), _) => ("mail", smtp.to.join(", ")),
        (None, Some(hook)) => (preset_icon(hook.preset), words::whither(hook.preset, &hook.origin)),
        (None, None) => ("webhook", String::new()),
    };
    ChannelRow {
        id: channel.id.to_string(),
        icon,
        whither,
        paused: !channel.enabled,
        sends: words::sends(&channel.rules),
        timing: words::timing(&channel.rules),
        summary: channel.summary.as_ref().map(words::summary),
        summed_up: channel.summary_sent_at.map(|at| Moment::new(at, now)),
        hosts: words::hosts(&channel.rules),
        waiting: channel.waiting,
        last: channel.last.as_ref().map(|l| last(l, now)),
        name: channel.name,
    }
}

async fn page(s: &Services, tested: Option<TestLine>) -> Result<ChannelsPage, ApiError> {
    let now = Timestamp::now();
    let channels = channels::list(s).await?.into_iter().map(|c| row(c, now)).collect();
    let conditions = AlertKind::ALL.iter().map(|kind| ConditionLine::of(*kind)).collect();
    Ok(ChannelsPage { tab: "channels", channels, tested, conditions })
}

/// Shows all channels.
#[get("/alerts/channels")]
pub async fn list(who: Guarded<Viewer>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, None).await?).await
}

/// Sends a test, and shows what came of it.
#[post("/alerts/channels/{id}/test")]
pub async fn test(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    let channel = channels::get(&s, *id).await?.name;
    let tested = channels::test(&s, &who.actor, *id).await?;
    let line = TestLine { channel, summary: false, delivered: tested.delivered, said: tested.said };
    view.show(&who, &page(&s, Some(line)).await?).await
}

/// Sends a summary, and shows what came of it.
#[post("/alerts/channels/{id}/summary")]
pub async fn summary(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    let channel = channels::get(&s, *id).await?.name;
    let sent = summaries::send_now(&s, &who.actor, *id, Timestamp::now()).await?;
    let line = TestLine { channel, summary: true, delivered: sent.delivered, said: sent.said };
    view.show(&who, &page(&s, Some(line)).await?).await
}

/// Asks once before a channel is deleted.
#[derive(Debug, Serialize)]
pub struct ChannelDeletePage {
    /// The channel's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many pieces of news wait for it.
    pub waiting: i64,
}

impl Page for ChannelDeletePage {
    const TEMPLATE: &'static str = "pages/channel-delete.html";
    const NAV: &'static str = "alerts";
}

/// Asks before a channel is deleted.
#[get("/alerts/channels/{id}/delete")]
pub async fn ask_delete(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<HttpResponse, ApiError> {
    let channel = channels::get(&s, *id).await?;
    let page = ChannelDeletePage { id: channel.id.to_string(), name: channel.name, waiting: channel.waiting };
    view.show(&who, &page).await
}

/// Deletes a channel.
#[post("/alerts/channels/{id}/delete")]
pub async fn delete(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    channels::delete(&s, &who.actor, *id).await?;
    Ok(go("/alerts/channels?done=channel-deleted"))
}
