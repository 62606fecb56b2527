//! Whom the words are for. It is known while a page is made, so that no function has to be handed it: the zone in which times are told, and the
//! place where a language would stand. How a viewer says so is `http::pages::zone`.

use chrono_tz::Tz;
use std::future::Future;

tokio::task_local! {
    static VIEWER: Tz;
}

/// The zone of whom the page is for; UTC outside of a page, or if nobody said.
#[must_use]
pub fn viewer() -> Tz {
    VIEWER.try_with(|zone| *zone).unwrap_or(Tz::UTC)
}

/// Makes what is within for a viewer in this zone.
pub async fn told_in<F: Future>(zone: Tz, within: F) -> F::Output {
    VIEWER.scope(zone, within).await
}
