//! The viewer's time zone: pages show times in it. The browser says which it is by a cookie; who has no script sets it with a form. Not the
//! zone of a schedule, which is read in its own or its host's.

use super::door::{go, own_path, secure};
use crate::domain::calendar;
use crate::http::guard::{Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::ActError;
use crate::words::told_in;
pub use crate::words::viewer;
use crate::words::wrong;
use actix_web::body::MessageBody;
use actix_web::cookie::time::Duration as CookieAge;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, post};
use chrono::{Days, NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;
use serde::Deserialize;

/// The cookie with the zone's IANA name.
pub const ZONE_COOKIE: &str = "rm_zone";

/// A day that a form asks for; none if it asks for none.
///
/// # Errors
/// What was typed is no day.
pub fn day(pointer: &str, typed: &str) -> Result<Option<NaiveDate>, ActError> {
    let typed = Some(typed.trim()).filter(|typed| !typed.is_empty());
    typed.map(|typed| calendar::day(typed).ok_or_else(|| ActError::field(pointer, wrong::DAY))).transpose()
}

/// When a day begins in the viewer's zone.
#[must_use]
pub fn begins(day: NaiveDate) -> Timestamp {
    instant(day.and_time(NaiveTime::MIN), viewer())
}

/// When a day ends in the viewer's zone: the next begins.
#[must_use]
pub fn ends(day: NaiveDate) -> Timestamp {
    begins(day.checked_add_days(Days::new(1)).unwrap_or(day))
}

/// By how many seconds the viewer's clock is ahead of UTC at an instant.
#[must_use]
pub fn offset(at: Timestamp) -> i64 {
    i64::from(viewer().offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc())
}

/// What the viewer's clock shows at an instant.
#[must_use]
pub fn local(at: Timestamp) -> NaiveDateTime {
    at.to_utc().with_timezone(&viewer()).naive_local()
}

/// The instant at which a clock of a zone shows this. A time that comes twice is meant the first time; one that a change of the clocks skips
/// means when they have changed.
#[must_use]
pub fn instant(shown: NaiveDateTime, zone: Tz) -> Timestamp {
    // No clock skips more than a day, and all change at quarters of an hour.
    let later = (0..=96).filter_map(|quarters| shown.checked_add_signed(TimeDelta::minutes(15 * quarters)));
    let there = later.filter_map(|shown| zone.from_local_datetime(&shown).earliest()).next();
    there.map_or_else(|| shown.and_utc().into(), |at| at.to_utc().into())
}

/// Renders what is within in the viewer's zone.
///
/// # Errors
/// None of its own.
pub async fn viewers<B: MessageBody + 'static>(
    req: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let zone = req.cookie(ZONE_COOKIE).and_then(|c| c.value().parse().ok()).unwrap_or(Tz::UTC);
    told_in(zone, next.call(req)).await
}

/// The zone form.
#[derive(Debug, Deserialize)]
pub struct ZoneForm {
    zone: String,
    #[serde(default)]
    back: String,
}

/// Keeps the zone that somebody without script typed.
#[post("/zone")]
pub async fn choose(_: Guarded<Viewer>, req: HttpRequest, form: SafeForm<ZoneForm>) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let zone: Tz = form.zone.trim().parse().map_err(|_| ActError::field("/zone", wrong::ZONE))?;
    let cookie = Cookie::build(ZONE_COOKIE, zone.name())
        .path("/")
        .secure(secure(&req))
        .same_site(SameSite::Lax)
        .max_age(CookieAge::days(400))
        .finish();
    let mut answer = go(own_path(&form.back));
    let _ = answer.add_cookie(&cookie);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_on_the_viewers_clock() {
        for (shown, zone, want) in [
            ("2026-11-28T06:00:00", Tz::UTC, "2026-11-28T06:00:00Z"),
            ("2026-11-28T06:00:00", Tz::Europe__Berlin, "2026-11-28T05:00:00Z"),
            ("2026-10-25T02:30:00", Tz::Europe__Berlin, "2026-10-25T00:30:00Z"),
            ("2027-03-28T02:30:00", Tz::Europe__Berlin, "2027-03-28T01:00:00Z"),
        ] {
            assert_eq!(instant(shown.parse().expect("valid"), zone).to_string(), want, "{shown} {zone}");
        }
    }

    #[tokio::test]
    async fn the_offset_is_that_of_the_instant() {
        let (summer, winter) = (Timestamp::parse("2026-07-01T00:00:00Z"), Timestamp::parse("2026-12-01T00:00:00Z"));
        let both = || (offset(summer.expect("valid")), offset(winter.expect("valid")));
        assert_eq!(both(), (0, 0));
        assert_eq!(told_in(Tz::Europe__Berlin, async { both() }).await, (7200, 3600));
    }
}
