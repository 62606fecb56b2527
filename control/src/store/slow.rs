//! Statements that take long are named in the log: they are what a person feels when everything else is fine, and what a missing index looks
//! like.

use diesel::connection::{Instrumentation, InstrumentationEvent};
use std::time::{Duration, Instant};

/// A statement that takes longer is worth a warning.
const SLOW: Duration = Duration::from_secs(1);
/// One that takes longer is worth a line for who looks for it.
const NOTABLE: Duration = Duration::from_millis(20);

/// Watches the statements of one connection.
#[derive(Default)]
pub(super) struct Watch {
    began: Option<Instant>,
}

impl Instrumentation for Watch {
    #[allow(clippy::disallowed_methods)] // a figure that is logged
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { .. } => self.began = Some(Instant::now()),
            InstrumentationEvent::FinishQuery { query, .. } => {
                let Some(took) = self.began.take().map(|began| began.elapsed()) else { return };
                if took < NOTABLE {
                    return;
                }
                let (ms, text) = (took.as_millis(), query.to_string());
                // What stands in the places of the question marks is nobody's business.
                let statement = text.split(" -- binds:").next().unwrap_or_default();
                if took >= SLOW {
                    tracing::warn!(ms, statement, "a statement took long");
                } else {
                    tracing::debug!(ms, statement, "a statement took a while");
                }
            }
            _ => {}
        }
    }
}
