//! What somebody asks for of the audit log, over the API or on its page.

use crate::domain::audit::{Acts, words};
use crate::service::ActError;
use crate::service::audit::{Filter, Word};
use crate::words::{audit as told, wrong};
use restic_manager_shared::time::Timestamp;
use serde::Deserialize;

/// The most characters of a text that the log is searched for.
const MAX_TEXT: usize = 200;

/// What somebody asks for of the log. What is empty or left out narrows nothing.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Who, as the log spells it, such as `user:anna`, `token:ci` or `system:agent`.
    pub actor: Option<String>,
    /// `changes`, `restores`, `sign-ins`; or an act's code such as `host.update`; or its beginning, such as `host`.
    pub action: Option<String>,
    /// To what, as the log spells it, such as `host:<id>`.
    pub subject: Option<String>,
    /// Words, all of which are to be found.
    pub q: Option<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Asked {
    /// The filter that it means.
    ///
    /// # Errors
    /// An act that cannot be one, or a text that is too long.
    pub fn filter(self) -> Result<Filter, ActError> {
        let said = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        let (actor, subject, q) = (said(self.actor), said(self.subject), said(self.q));
        for (pointer, text) in [("/actor", &actor), ("/subject", &subject), ("/q", &q)] {
            if text.as_ref().is_some_and(|t| t.chars().count() > MAX_TEXT || t.contains('\0')) {
                return Err(ActError::field(pointer, wrong::AUDIT_TEXT));
            }
        }
        let acts = said(self.action).map(|code| Acts::of(&code).ok_or(ActError::field("/action", wrong::NO_ACT)));
        let word =
            |text: String| Word { actions: told::codes_with(&text).into_iter().map(ToOwned::to_owned).collect(), text };
        Ok(Filter {
            actor,
            acts: acts.transpose()?,
            subject,
            words: words(&q.unwrap_or_default()).into_iter().map(word).collect(),
            since: self.since,
            until: self.until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_a_filter_or_said_to_be_wrong() {
        let asked = |actor: &str, action: &str, q: &str| {
            let some = |text: &str| Some(text.to_owned());
            Asked { actor: some(actor), action: some(action), q: some(q), ..Asked::default() }.filter()
        };
        assert_eq!(asked("", " ", "").ok(), Some(Filter::default()));
        let found = asked(" user:anna ", "changes", "FROZE web").ok().unwrap_or_default();
        assert_eq!((found.actor.as_deref(), found.acts), (Some("user:anna"), Some(Acts::Changes)));
        assert_eq!(found.words.iter().map(|w| &*w.text).collect::<Vec<_>>(), ["froze", "web"]);
        assert_eq!(found.words.first().map(|w| w.actions.clone()), Some(vec!["host.freeze".to_owned()]));
        for (actor, action, q) in [("", "Host!", ""), (&*"a".repeat(201), "", ""), ("", "", "a\0")] {
            assert!(matches!(asked(actor, action, q), Err(ActError::Invalid(_))), "{actor} {action} {q}");
        }
    }
}
