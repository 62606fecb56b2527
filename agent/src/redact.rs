//! The last word on every text that leaves the host: takes out the job's secrets, in each form that restic might print them in, and
//! whatever stands before an `@` in a URL.

use restic_manager_shared::restic::address::percent_encode;
use restic_manager_shared::wire::state::RepositorySecrets;
use zeroize::Zeroizing;

/// What stands in a secret's place.
pub const MASK: &str = "***";
/// Shorter secrets would blank out half of every text and are guessed anyway.
const SHORTEST: usize = 3;

/// Knows the secrets of one job.
#[derive(Default)]
pub struct Redactor {
    secrets: Vec<Zeroizing<String>>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// Knows these values.
    #[must_use]
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<Zeroizing<String>> = Vec::new();
        for value in values {
            for form in forms(value) {
                if form.len() >= SHORTEST && !secrets.contains(&form) {
                    secrets.push(form);
                }
            }
        }
        // The longest first: one secret may hold another.
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        Self { secrets }
    }

    /// Knows a repository's secrets.
    #[must_use]
    pub fn of(secrets: &RepositorySecrets) -> Self {
        Self::new(secrets.values())
    }

    /// The text without secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        mask_user_info(&text)
    }

    /// As [`Redactor::clean`], for a text that may be absent.
    #[must_use]
    pub fn clean_maybe(&self, text: Option<String>) -> Option<String> {
        text.map(|t| self.clean(&t))
    }
}

/// A value as it is, trimmed, percent-encoded in two ways, and as it looks inside JSON or Go's quotes.
fn forms(value: &str) -> Vec<Zeroizing<String>> {
    let quoted = serde_json::to_string(value).unwrap_or_default();
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let lower = percent_encode(value).to_ascii_lowercase();
    let by_form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    [value.to_owned(), value.trim().to_owned(), percent_encode(value), lower, by_form, inner]
        .into_iter()
        .map(Zeroizing::new)
        .collect()
}

/// Masks the password in `scheme://user:password@host`. The `@` counts only if it comes before the address ends at a space or quote.
fn mask_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        out.push_str(before);
        let end =
            after.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')).unwrap_or(after.len());
        let (address, tail) = after.split_at(end);
        out.push_str(&mask_address(address));
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn mask_address(address: &str) -> String {
    let Some(at) = address.rfind('@') else { return address.to_owned() };
    let (info, host) = address.split_at(at);
    match info.split_once(':') {
        Some((user, _)) if !user.contains('/') => format!("{user}:{MASK}{host}"),
        Some(_) | None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls_lose_their_passwords_whoever_wrote_them() {
        let r = Redactor::default();
        let cases = [
            ("rest:http://alice:pw@h:1/x/", "rest:http://alice:***@h:1/x/"),
            ("parse \"http://alice:pw%zz@127.0.0.1/\": invalid", "parse \"http://alice:***@127.0.0.1/\": invalid"),
            ("http://alice:p#w/?@h/x", "http://alice:***@h/x"),
            ("see http://h/a@b and mail x@y", "see http://h/a@b and mail x@y"),
            ("http://h:80/a@b", "http://h:***@b"),
            ("no url at all: a:b@c", "no url at all: a:b@c"),
            ("s3:https://h/b sftp://u@h/p", "s3:https://h/b sftp://u@h/p"),
        ];
        for (text, want) in cases {
            assert_eq!(r.clean(text), want);
        }
    }

    #[test]
    fn a_secret_goes_in_each_form() {
        let r = Redactor::new(["p w/ü%\"x", "ab", ""]);
        for text in
            ["p w/ü%\"x", "p%20w%2F%C3%BC%25%22x", "p%20w%2f%c3%bc%25%22x", "p+w%2F%C3%BC%25%22x", "p w/ü%\\\"x"]
        {
            assert_eq!(r.clean(&format!("<{text}>")), "<***>", "{text}");
        }
        assert_eq!(r.clean("ab stays: too short to be one"), "ab stays: too short to be one");
    }

    proptest! {
        #[test]
        fn no_secret_survives(secret in "[ -~]{3,20}", before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
            prop_assume!(secret.trim().len() >= 3);
            let r = Redactor::new([secret.as_str()]);
            let without = |text: &str| !r.clean(text).replace(MASK, "\n").contains(secret.as_str());
            let plain = format!("{before}{}{after}", secret);
            let encoded = format!("{before}{}{after}", percent_encode(&secret));
            prop_assert!(without(&plain) || MASK.contains(secret.trim()));
            prop_assert!(!r.clean(&encoded).contains(&percent_encode(&secret)) || MASK.contains(secret.trim()));
        }
    }
}
