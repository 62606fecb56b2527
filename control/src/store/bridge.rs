//! From columns to domain types and back. A column that does not read is an error that names it, never a default.

use super::{StoreError, StoreResult};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// An id or an enum out of its text.
pub(super) fn parse<T: FromStr>(what: &'static str, text: &str) -> StoreResult<T> {
    text.parse().map_err(|_| StoreError::Corrupt { what, value: text.to_owned() })
}

/// The same for a column that may be null.
pub(super) fn parse_opt<T: FromStr>(what: &'static str, text: Option<&str>) -> StoreResult<Option<T>> {
    text.map(|text| parse(what, text)).transpose()
}

/// A value out of its JSON.
pub(super) fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> StoreResult<T> {
    serde_json::from_str(text).map_err(|e| StoreError::Corrupt { what, value: e.to_string() })
}

/// JSON for a column.
pub(super) fn to_json<T: Serialize>(what: &'static str, value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|e| StoreError::Corrupt { what, value: e.to_string() })
}

/// An enum of the wire out of its one word, as [`word`] writes it.
pub(super) fn from_word<T: DeserializeOwned>(what: &'static str, text: &str) -> StoreResult<T> {
    serde_json::from_value(serde_json::Value::from(text))
        .map_err(|_| StoreError::Corrupt { what, value: text.to_owned() })
}

/// The one word of an enum of the wire.
pub(super) fn word<T: Serialize>(what: &'static str, value: &T) -> StoreResult<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        other => Err(StoreError::Corrupt { what, value: format!("{other:?}") }),
    }
}

/// An instant out of a column that may be null.
pub(super) fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

/// Whose place it is, out of its spelling; nobody's own if it is empty.
pub(super) fn place_host(what: &'static str, text: &str) -> StoreResult<Option<HostId>> {
    if text.is_empty() { Ok(None) } else { parse(what, text).map(Some) }
}
