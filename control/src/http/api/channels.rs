//! Channels over the API: where people are told of alerts.

use super::Errors;
use super::alerts::DeliveryList;
use crate::http::guard::{Admin, Guarded, Viewer};
use crate::http::params::{Input, Paging};
use crate::http::problem::ApiError;
use crate::service::channel_input::ChannelInput;
use crate::service::channels::{ChannelView, Tested};
use crate::service::{Services, channels, summaries};
use actix_web::{HttpResponse, delete, get, post, put, web};
use restic_manager_shared::id::ChannelId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// The channels.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChannelList {
    /// All of them, by name.
    pub items: Vec<ChannelView>,
    /// Always none: there is one page.
    pub next: Option<String>,
}

/// List channels
///
/// Without their secrets, with what each was last sent.
#[utoipa::path(operation_id = "listChannels", tag = "alerts", responses((status = 200, body = ChannelList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/channels")]
pub async fn list_channels(_: Guarded<Viewer>, s: web::Data<Services>) -> Result<web::Json<ChannelList>, ApiError> {
    Ok(web::Json(ChannelList { items: channels::list(&s).await?, next: None }))
}

/// Add a channel
#[utoipa::path(operation_id = "createChannel", tag = "alerts", request_body = ChannelInput, responses((status = 201, body = ChannelView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/channels")]
pub async fn create_channel(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<ChannelInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Created().json(channels::add(&s, &who.actor, input.read()?).await?))
}

/// Show a channel
#[utoipa::path(operation_id = "getChannel", tag = "alerts", params(("id" = ChannelId, Path)), responses((status = 200, body = ChannelView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/channels/{id}")]
pub async fn get_channel(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<web::Json<ChannelView>, ApiError> {
    Ok(web::Json(channels::get(&s, *id).await?))
}

/// Change a channel
///
/// Secrets that are left out stay as they are while the address is the same. What waits is tried at once.
#[utoipa::path(operation_id = "updateChannel", tag = "alerts", params(("id" = ChannelId, Path)), request_body = ChannelInput, responses((status = 200, body = ChannelView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/channels/{id}")]
pub async fn update_channel(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    input: Input<ChannelInput>,
) -> Result<web::Json<ChannelView>, ApiError> {
    Ok(web::Json(channels::update(&s, &who.actor, *id, input.read()?).await?))
}

/// Delete a channel
///
/// With the record of what was sent there.
#[utoipa::path(operation_id = "deleteChannel", tag = "alerts", params(("id" = ChannelId, Path)), responses((status = 204, description = "Deleted"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/channels/{id}")]
pub async fn delete_channel(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<HttpResponse, ApiError> {
    channels::delete(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List what a channel was told
///
/// The newest first, summaries and tests too: what each piece of news was, whether it arrived, and what is in the way if not. Kept for half a year, and
/// as long as its alert is open.
#[utoipa::path(operation_id = "listChannelDeliveries", tag = "alerts", params(("id" = ChannelId, Path), Paging), responses((status = 200, body = DeliveryList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/channels/{id}/deliveries")]
pub async fn list_channel_deliveries(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    paging: web::Query<Paging>,
) -> Result<web::Json<DeliveryList>, ApiError> {
    let limit = paging.limit()?;
    let page = channels::deliveries_to(&s, *id, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(DeliveryList { items: page.items, next: page.next }))
}

/// Send a test
///
/// Waits for what the other side says, for half a minute at most.
#[utoipa::path(operation_id = "testChannel", tag = "alerts", params(("id" = ChannelId, Path)), responses((status = 200, body = Tested), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/channels/{id}/test")]
pub async fn test_channel(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<web::Json<Tested>, ApiError> {
    Ok(web::Json(channels::test(&s, &who.actor, *id).await?))
}

/// Send the summary now
///
/// That of the last 24 hours, for a channel that has a daily summary; the next one comes at its time all the same. Waits for what the other side
/// says, for half a minute at most.
#[utoipa::path(operation_id = "sendSummary", tag = "alerts", params(("id" = ChannelId, Path)), responses((status = 200, body = Tested), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/channels/{id}/summary")]
pub async fn send_summary(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<web::Json<Tested>, ApiError> {
    Ok(web::Json(summaries::send_now(&s, &who.actor, *id, Timestamp::now()).await?))
}
