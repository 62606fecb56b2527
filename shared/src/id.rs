//! Identifiers: one type for each kind of thing, so that a host id is never taken for a job id. All are UUIDs; new ones are
//! version 7, so that they sort by the time they were made.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID")]
pub struct ParseIdError;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new identifier that sorts after those made before it.
            #[must_use]
            #[allow(clippy::disallowed_methods)] // identifiers are born here and nowhere else
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::parse_str(text).map(Self).map_err(|_| ParseIdError)
            }
        }
    )*};
}

ids! {
    /// A Host, given at the moment its enrollment token is made and kept for life.
    HostId,
    /// A Schedule.
    ScheduleId,
    /// A Repository.
    RepositoryId,
    /// A Job. One that a cron fire started is derived from schedule and due instant, so that the same fire has one id.
    JobId,
    /// An enrollment token's record, not the token itself.
    TokenId,
    /// A user of the control plane.
    UserId,
    /// A signed-in browser.
    SessionId,
    /// An API token's record, not the token itself.
    ApiTokenId,
    /// An Alert.
    AlertId,
    /// A Channel.
    ChannelId,
    /// One piece of news on its way to one Channel.
    DeliveryId,
    /// One message to a Channel: all deliveries that go out together.
    MessageId,
    /// One installation of the control plane: the audience of every agent's token.
    ControlId,
    /// A question that a person waits for, about what is in a snapshot.
    QueryId,
    /// Of a restore that somebody puts together.
    RestoreId,
    /// A roll-out of a release of the agent.
    RolloutId,
    /// One start of an agent process; tells two agents that share one key apart.
    InstanceId,
}

impl JobId {
    /// The job of a schedule's fire: the same fire has the same id, whoever works it out and however often. UUIDv5 of the due instant
    /// in whole seconds since 1970, in the name space of the schedule.
    #[must_use]
    pub fn of_fire(schedule: ScheduleId, due: Timestamp) -> Self {
        Self(Uuid::new_v5(&schedule.0, due.seconds().to_string().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_birth_and_survive_text() {
        let (a, b) = (JobId::new(), JobId::new());
        assert!(a < b);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert_eq!("x".parse::<JobId>(), Err(ParseIdError));
    }

    #[test]
    fn a_fire_has_one_id() {
        let (a, b) = (ScheduleId::new(), ScheduleId::new());
        let at = Timestamp::from_seconds;
        assert_eq!(JobId::of_fire(a, at(60)), JobId::of_fire(a, Timestamp::from_micros(60_000_001)));
        assert_ne!(JobId::of_fire(a, at(60)), JobId::of_fire(a, at(120)));
        assert_ne!(JobId::of_fire(a, at(60)), JobId::of_fire(b, at(60)));
        let known: ScheduleId = "0190a000-0000-7000-8000-000000000001".parse().expect("valid");
        let id = JobId::of_fire(known, at(1_800_000_000)).to_string();
        assert_eq!(
            id, "14f484a0-0804-5306-a4c3-25e872f06cbc",
            "never changes: agents of older versions work it out too"
        );
    }
}
