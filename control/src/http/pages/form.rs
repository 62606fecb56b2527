//! Forms: what a browser sends, turned into what services take, and what services refuse, turned into words beside the fields. What was
//! typed is kept; secrets are not sent back.

use crate::http::problem::{ApiError, describe, status_of};
use crate::service::{ActError, Refusal};
use crate::words::{capital, wrong};
use restic_manager_shared::secret::Secret;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is wrong with a form.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FormErrors {
    /// By field, what is wrong with it.
    pub fields: BTreeMap<String, String>,
    /// What is wrong with all of it.
    pub general: String,
}

impl FormErrors {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.general.is_empty()
    }

    /// One more thing that is wrong; the first word about a field counts.
    pub fn add(&mut self, field: &str, detail: impl Into<String>) {
        self.fields.entry(field.to_owned()).or_insert_with(|| detail.into());
    }

    /// What a form can show of an act's error, given the names of its fields. What is not about the form goes on as it is.
    ///
    /// # Errors
    /// The error itself, when it is not about what was typed.
    pub fn of(error: ActError, known: &[&str]) -> Result<Self, ApiError> {
        let mut told = Self::default();
        match error {
            ActError::Invalid(errors) => {
                for e in errors {
                    told.place(&e.pointer, &e.detail, known);
                }
            }
            ActError::Refused(Refusal::NameTaken(what)) => {
                told.place("/name", &wrong::taken(what), known);
            }
            ActError::Refused(refusal) if status_of(&refusal).as_u16() != 403 => {
                told.general = format!("{}. {}", refusal.title(), refusal.detail());
            }
            ActError::Refused(Refusal::WrongSetupToken) => {
                told.place("/token", &Refusal::WrongSetupToken.detail(), known);
            }
            other => return Err(other.into()),
        }
        Ok(told)
    }

    /// Puts an error beside its field: `/paths/1` is the second line of `paths`.
    fn place(&mut self, pointer: &str, detail: &str, known: &[&str]) {
        let parts: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
        let field = parts.iter().copied().find(|part| known.contains(part));
        let line = parts.last().and_then(|n| n.parse::<usize>().ok());
        match (field, line) {
            (Some(field), Some(n)) => self.add(field, wrong::in_line(n + 1, detail)),
            (Some(field), None) => self.add(field, capital(detail)),
            (None, _) => self.general = format!("{}: {detail}", parts.join(" ")),
        }
    }
}

/// The title of an act's refusal in one line, for a banner.
#[must_use]
pub fn one_line(error: &ActError) -> String {
    let told = describe(error);
    told.detail.map_or_else(|| told.title.clone(), |detail| format!("{}. {detail}", told.title))
}

/// One entry on each line. Browsers send CR LF; empty lines are left out, spaces inside are kept: paths may begin or end with one.
#[must_use]
pub fn lines(text: &str) -> Vec<String> {
    text.split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.trim().is_empty())
        .map(Into::into)
        .collect()
}

/// Entries between commas, without the spaces around them.
#[must_use]
pub fn commas(text: &str) -> Vec<String> {
    text.split([',', '\n']).map(str::trim).filter(|entry| !entry.is_empty()).map(Into::into).collect()
}

/// A text, or none if nothing was typed.
#[must_use]
pub fn typed(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A secret, or none if nothing was typed.
#[must_use]
pub fn typed_secret(secret: &Secret) -> Option<Secret> {
    (!secret.is_empty()).then(|| secret.clone())
}

/// A number, or none if nothing was typed.
#[must_use]
pub fn number(text: &str, field: &str, errors: &mut FormErrors) -> Option<u32> {
    let text = typed(text)?;
    let number = text.parse();
    if number.is_err() {
        errors.add(field, wrong::NUMBER);
    }
    number.ok()
}

/// An identity chosen from a list, or none.
#[must_use]
pub fn chosen<T: std::str::FromStr>(text: &str, field: &str, errors: &mut FormErrors) -> Option<T> {
    let text = typed(text)?;
    let id = text.parse();
    if id.is_err() {
        errors.add(field, wrong::CHOOSE_ONE);
    }
    id.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::problem::FieldError;

    #[test]
    fn text_areas_become_lists() {
        assert_eq!(lines("/srv\r\n\r\n/with space \n  \n"), ["/srv", "/with space "]);
        assert!(lines(" \n").is_empty());
        assert_eq!(commas(" a, b ,,c\n"), ["a", "b", "c"]);
    }

    #[test]
    fn errors_find_their_fields() {
        let at = |pointer: &str| FieldError { pointer: pointer.into(), detail: "is wrong".into() };
        let error = ActError::Invalid(vec![at("/paths/1"), at("/retention/keep_daily"), at("/cron"), at("/other")]);
        let wrong = FormErrors::of(error, &["paths", "keep_daily", "cron"]).expect("about the form");
        assert_eq!(wrong.fields["paths"], "Line 2: is wrong");
        assert_eq!(wrong.fields["keep_daily"], "Is wrong");
        assert_eq!(wrong.fields["cron"], "Is wrong");
        assert_eq!(wrong.general, "other: is wrong");
        assert!(FormErrors::of(ActError::NotFound(crate::service::Noun::Host), &[]).is_err());
    }

    #[test]
    fn numbers_are_whole_or_left_out() {
        let mut wrong = FormErrors::default();
        assert_eq!(number(" 7 ", "keep_last", &mut wrong), Some(7));
        assert_eq!(number("", "keep_last", &mut wrong), None);
        assert!(wrong.is_empty());
        assert_eq!(number("a few", "keep_last", &mut wrong), None);
        assert!(wrong.fields.contains_key("keep_last"));
    }
}
