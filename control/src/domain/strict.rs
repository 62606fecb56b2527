//! Strictness of what scripts send: an object is written as one. serde would also take its fields in order, as an array, which no document of ours
//! allows.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Reads an object, or null where the type has a meaning for it.
///
/// # Errors
/// When it is something else, or not such an object.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(from: D) -> Result<T, D::Error> {
    let value = Value::deserialize(from)?;
    if !value.is_object() && !value.is_null() {
        return Err(D::Error::custom("must be an object"));
    }
    T::deserialize(value).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::domain::fires::PreviewInput;

    #[test]
    fn fields_in_order_are_no_object() {
        let read = |retention: &str| {
            serde_json::from_str::<PreviewInput>(&format!(r#"{{"cron": "0 2 * * *", "retention": {retention}}}"#))
                .is_ok()
        };
        assert!(read("{}") && read(r#"{"keep_daily": 7}"#));
        assert!(!read("[]") && !read("[null, null]") && !read("7") && !read("null"));
    }
}
