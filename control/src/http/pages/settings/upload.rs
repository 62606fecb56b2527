//! The form with a release's files, piece by piece as the browser sends it: the session's token first, then what was signed, then the binary,
//! which goes straight to the disk.

use crate::domain::permission::Actor;
use crate::http::guard::check_form;
use crate::http::problem::ApiError;
use crate::service::{ActError, Services, releases};
use crate::words::wrong;
use actix_multipart::{Field, Multipart};
use actix_web::HttpRequest;
use futures_util::StreamExt as _;
use restic_manager_shared::release::SignedManifest;

/// The fields of the form.
pub const FIELDS: [&str; 3] = ["signed", "file", "notes"];
/// The longest text in it.
const MOST: usize = 64 * 1024;

#[derive(Default)]
struct Form {
    checked: bool,
    notes: String,
    signed: Option<SignedManifest>,
    taken: bool,
}

fn malformed(error: &impl std::fmt::Display) -> ApiError {
    ApiError::Malformed(wrong::unreadable_form(error))
}

async fn text(field: &mut Field) -> Result<String, ApiError> {
    let mut bytes = vec![];
    while let Some(part) = field.next().await {
        bytes.extend_from_slice(&part.map_err(|e| malformed(&e))?);
        if bytes.len() > MOST {
            return Err(ApiError::Malformed(wrong::FIELD_TOO_LONG.into()));
        }
    }
    String::from_utf8(bytes).map_err(|_| ApiError::Malformed(wrong::FIELD_NOT_TEXT.into()))
}

/// Takes the release in.
///
/// # Errors
/// When the form is not ours, or what is in it is not a signed release.
pub async fn take(s: &Services, actor: &Actor, req: &HttpRequest, mut form: Multipart) -> Result<(), ApiError> {
    let mut held = Form::default();
    let outcome = read(s, actor, req, &mut form, &mut held).await;
    if outcome.is_err() && held.checked {
        // A browser shows the answer only after it has sent everything.
        while let Some(Ok(mut field)) = form.next().await {
            while let Some(Ok(_)) = field.next().await {}
        }
    }
    outcome?;
    if held.taken { Ok(()) } else { Err(ActError::field("/file", wrong::BINARY).into()) }
}

async fn read(
    s: &Services,
    actor: &Actor,
    req: &HttpRequest,
    form: &mut Multipart,
    held: &mut Form,
) -> Result<(), ApiError> {
    while let Some(field) = form.next().await {
        let mut field = field.map_err(|e| malformed(&e))?;
        let name = field.name().unwrap_or_default().to_owned();
        if name == "csrf" {
            check_form(req, &text(&mut field).await?)?;
            held.checked = true;
            continue;
        }
        if !held.checked {
            check_form(req, "")?;
        }
        match name.as_str() {
            "notes" => held.notes = text(&mut field).await?,
            "signed" => held.signed = Some(signed(&text(&mut field).await?)?),
            "file" => held.taken = binary(s, actor, &mut field, held).await?,
            _ => {}
        }
    }
    Ok(())
}

fn signed(text: &str) -> Result<SignedManifest, ActError> {
    serde_json::from_str(text).map_err(|_| ActError::field("/signed", wrong::SIGNED))
}

async fn binary(s: &Services, actor: &Actor, field: &mut Field, held: &mut Form) -> Result<bool, ApiError> {
    let signed = held.signed.take().ok_or_else(|| ActError::field("/signed", wrong::SIGNATURE_FIRST))?;
    let release = releases::add(s, actor, signed, std::mem::take(&mut held.notes)).await?;
    let mut incoming = releases::receive(s, &release.version, &release.target).await?;
    while let Some(part) = field.next().await {
        incoming.write(&part.map_err(|e| malformed(&e))?).await?;
    }
    incoming.finish(s, actor).await?;
    Ok(true)
}
