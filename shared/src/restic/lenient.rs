//! Numbers, lists and texts as restic really prints them: absent, null, negative, huge, or of another type. Reading them never
//! fails; what makes no sense becomes the empty value.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The largest float that is still a whole number of its own.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded by the comparison
fn whole(value: &Value) -> u64 {
    match (value.as_u64(), value.as_f64()) {
        (Some(n), _) => n,
        (None, Some(f)) if (0.0..=MAX_SAFE).contains(&f) => f as u64,
        _ => 0,
    }
}

/// A count: anything that is not a sensible whole number is 0.
pub fn count<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    Value::deserialize(d).map(|v| whole(&v))
}

/// A count that may be absent; nonsense is absent too.
pub fn maybe_count<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u64>, D::Error> {
    Value::deserialize(d).map(|v| v.as_f64().is_some_and(|f| f >= 0.0).then(|| whole(&v)))
}

/// A number of seconds or a share; negative and non-numbers are 0.
pub fn amount<'de, D: Deserializer<'de>>(d: D) -> Result<f64, D::Error> {
    Value::deserialize(d).map(|v| v.as_f64().filter(|f| f.is_finite() && *f >= 0.0).unwrap_or(0.0))
}

/// A status or exit number, which may be negative; nonsense is 0.
pub fn signed<'de, D: Deserializer<'de>>(d: D) -> Result<i64, D::Error> {
    Value::deserialize(d).map(|v| v.as_i64().unwrap_or(0))
}

/// A text; null and other types are empty.
pub fn text<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Value::deserialize(d).map(|v| v.as_str().unwrap_or_default().to_owned())
}

/// A text that may be absent; null, empty and other types are absent.
pub fn maybe_text<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    text(d).map(|t| (!t.is_empty()).then_some(t))
}

/// A list of texts; null is empty, and what is not a text is passed over.
pub fn texts<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let value = Value::deserialize(d)?;
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    Ok(items.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
}
