//! A host to choose in a form: from a list where there are few, by its name where there are so many that nobody finds one in a list.

use super::form::FormErrors;
use crate::domain::fleet::{Host, HostState};
use crate::http::problem::ApiError;
use crate::service::{ActError, Services, hosts};
use crate::words::wrong;
use restic_manager_shared::id::HostId;
use restic_manager_shared::wire::enroll::Os;
use serde::Serialize;

/// A list of more hosts than this is no help.
const FEW: i64 = 200;

/// The field.
#[derive(Debug, Serialize)]
pub struct HostChoice {
    /// The hosts to choose from: identity, name and whether it is online; none if the name is typed.
    pub hosts: Vec<(String, String, bool)>,
    /// There are too many for a list.
    pub typed: bool,
    /// What is chosen: the identity, or the name as it is typed.
    pub value: String,
}

impl HostChoice {
    /// The name of what is chosen; what was typed, where that is no host of the list.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.hosts.iter().find(|(id, _, _)| *id == self.value).map_or(&self.value, |(_, name, _)| name)
    }

    /// The field, with what is chosen: an identity, or what somebody typed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(s: &Services, chosen: &str) -> Result<Self, ApiError> {
        let listed = hosts::list(s, None, FEW).await?;
        if listed.next.is_none() {
            let enrolled = listed.items.into_iter().filter(|h| h.state != HostState::Pending);
            let choice = |h: Host| (h.id.to_string(), h.name, h.state == HostState::Online);
            return Ok(Self { hosts: enrolled.map(choice).collect(), typed: false, value: chosen.to_owned() });
        }
        let name = match chosen.parse::<HostId>() {
            Ok(id) => hosts::get(s, id).await.map_or_else(|_| String::new(), |host| host.name),
            Err(_) => chosen.to_owned(),
        };
        Ok(Self { hosts: vec![], typed: true, value: name })
    }
}

/// Which hosts of the list run Windows.
///
/// # Errors
/// When the database fails.
pub async fn windows(s: &Services, choice: &HostChoice) -> Result<Vec<String>, ApiError> {
    if choice.typed {
        return Ok(vec![]);
    }
    let listed = hosts::list(s, None, FEW).await?.items;
    Ok(listed.into_iter().filter(|h| h.os == Some(Os::Windows)).map(|h| h.id.to_string()).collect())
}

/// The host that was chosen or typed; none if the field was left empty.
///
/// # Errors
/// There is none of that name.
pub async fn read(s: &Services, text: &str) -> Result<Option<Host>, ActError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let found = match text.parse::<HostId>() {
        Ok(id) => hosts::get(s, id).await.map(Some),
        Err(_) => hosts::by_name(s, text).await,
    };
    match found {
        Ok(Some(host)) => Ok(Some(host)),
        Ok(None) | Err(ActError::NotFound(_)) => Err(ActError::field("/host", wrong::no_host(text))),
        Err(error) => Err(error),
    }
}

/// The same, with what is wrong noted at the form's field.
///
/// # Errors
/// When the database fails.
pub async fn field(s: &Services, text: &str, name: &str, errors: &mut FormErrors) -> Result<Option<HostId>, ApiError> {
    match read(s, text).await {
        Ok(host) => Ok(host.map(|host| host.id)),
        Err(ActError::Invalid(_)) => {
            errors.add(name, wrong::no_host(text.trim()));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}
