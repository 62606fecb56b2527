//! What one channel was told: each piece of news with how far it is, the newest first. Not the channel's settings; those are `channel_form`.

use super::alerts::{row, wanted};
use super::channels::{LastLine, last};
use super::door::View;
use super::engine::Page;
use super::hosts::{Cursor, PAGE};
use super::names::Names;
use crate::domain::alert::Alert;
use crate::domain::channel::What;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::channels::{ChannelView, Delivery};
use crate::service::{Services, alerts, channels};
use crate::words::Moment;
use crate::words::channel as words;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{AlertId, ChannelId};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::collections::HashMap;

/// What a channel was told.
#[derive(Debug, Serialize)]
pub struct ChannelSentPage {
    /// The open tab.
    pub tab: &'static str,
    /// The channel's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What takes the messages.
    pub kind: &'static str,
    /// Whether it is paused.
    pub paused: bool,
    /// When it has its summary.
    pub summary: Option<String>,
    /// When the next one is due.
    pub summary_next: Option<Moment>,
    /// How many pieces of news wait.
    pub waiting: i64,
    /// What went there, the newest first.
    pub sent: Vec<SentRow>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
}

impl Page for ChannelSentPage {
    const TEMPLATE: &'static str = "pages/channel-sent.html";
    const NAV: &'static str = "alerts";
}

/// One piece of news.
#[derive(Debug, Serialize)]
pub struct SentRow {
    /// What it says of the alert.
    pub what: &'static str,
    /// Whether it sums up the day.
    pub summary: bool,
    /// The alert's condition; none in a summary or a test.
    pub title: Option<String>,
    /// What the alert is about.
    pub subject: String,
    /// Where that is.
    pub href: Option<String>,
    /// How far it is.
    pub line: LastLine,
    /// How often it was tried.
    pub attempts: i32,
    /// The beginning of the message's identity; none before the first try.
    pub message: Option<String>,
}

fn kind(channel: &ChannelView) -> &'static str {
    channel.webhook.as_ref().map_or(words::MAIL, |hook| words::preset(hook.preset))
}

/// The news as rows, with the alerts that they are about.
async fn rows(s: &Services, sent: &[Delivery], now: Timestamp) -> Result<Vec<SentRow>, ApiError> {
    let mut ids: Vec<AlertId> = sent.iter().filter_map(|d| d.alert_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let about = alerts::of_ids(s, ids).await?;
    let mut names = Names::default();
    names.learn(s, wanted(&about)).await?;
    let about: HashMap<AlertId, Alert> = about.into_iter().map(|alert| (alert.id, alert)).collect();
    let mut rows = Vec::with_capacity(sent.len());
    for delivery in sent {
        let alert = match delivery.alert_id.and_then(|id| about.get(&id)) {
            Some(alert) => Some(row(s, alert, &mut names, now).await?),
            None => None,
        };
        rows.push(SentRow {
            what: words::news(delivery.what),
            summary: delivery.what == What::Summary,
            title: alert.as_ref().map(|a| a.title.clone()),
            subject: alert.as_ref().map(|a| a.subject.clone()).unwrap_or_default(),
            href: alert.and_then(|a| a.href),
            line: last(delivery, now),
            attempts: delivery.attempts,
            message: delivery.message_id.map(|id| id.to_string()),
        });
    }
    Ok(rows)
}

/// Shows what a channel was told.
#[get("/alerts/channels/{id}")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    query: web::Query<Cursor>,
) -> Result<HttpResponse, ApiError> {
    let (cursor, now) = (query.into_inner().cursor, Timestamp::now());
    let later = cursor.is_some();
    let channel = channels::get(&s, *id).await?;
    let listed = channels::deliveries_to(&s, *id, cursor, PAGE).await?;
    let page = ChannelSentPage {
        tab: "channels",
        id: channel.id.to_string(),
        kind: kind(&channel),
        paused: !channel.enabled,
        summary: channel.summary.as_ref().map(words::summary),
        summary_next: channel.summary_next_at.map(|at| Moment::new(at, now)),
        waiting: channel.waiting,
        sent: rows(&s, &listed.items, now).await?,
        next: listed.next,
        later,
        name: channel.name,
    };
    view.show(&who, &page).await
}
