//! Which acts of the audit log somebody asks for.

/// Acts of coming and going.
pub const SIGN_INS: [&str; 3] = ["login", "login.refused", "logout"];
/// Acts that start or stop a job and change nothing that is set.
pub const JOBS: [&str; 2] = ["job.run", "job.cancel"];
/// The most characters of an act's code.
const MAX_CODE: usize = 64;
/// The most words of a search; more only make it slower.
const MAX_WORDS: usize = 8;

/// A choice of acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acts {
    /// All but sign-ins and jobs.
    Changes,
    /// Jobs that restore.
    Restores,
    /// Sign-ins, those that were refused, and sign-outs.
    SignIns,
    /// An act by its code, such as `host.update`, or all whose code begins with it and a dot, such as `host`.
    Code(String),
}

impl Acts {
    /// Out of its spelling: `changes`, `restores`, `sign-ins`, or a code. None if it is no code.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
        Some(match text {
            "changes" => Self::Changes,
            "restores" => Self::Restores,
            "sign-ins" => Self::SignIns,
            code if (1..=MAX_CODE).contains(&code.len()) && code.chars().all(plain) => Self::Code(code.to_owned()),
            _ => return None,
        })
    }
}

/// The words of a search, in small letters; each of them has to be found.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    text.split_whitespace().take(MAX_WORDS).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_asked_for_by_a_word_or_by_their_code() {
        for (text, want) in [
            ("changes", Some(Acts::Changes)),
            ("restores", Some(Acts::Restores)),
            ("sign-ins", Some(Acts::SignIns)),
            ("host", Some(Acts::Code("host".into()))),
            ("api_token.add", Some(Acts::Code("api_token.add".into()))),
            ("", None),
            ("Host", None),
            ("host%", None),
            (&"a".repeat(65), None),
        ] {
            assert_eq!(Acts::of(text), want, "{text}");
        }
    }

    #[test]
    fn a_search_is_cut_into_words() {
        assert_eq!(words("  Anna\tWEB-01 "), ["anna", "web-01"]);
        assert!(words(" ").is_empty());
        assert_eq!(words(&"x ".repeat(20)).len(), MAX_WORDS);
    }
}
