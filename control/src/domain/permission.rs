//! Who may do what. Three roles, each with all that the one before it has.

use super::text_enum;
use restic_manager_shared::id::{ApiTokenId, SessionId, UserId};

text_enum! {
    /// A user's or API token's role.
    Role {
        /// Sees everything but secrets.
        Viewer = "viewer",
        /// Runs and cancels jobs, edits schedules, adds hosts.
        Operator = "operator",
        /// Repositories, credentials, users, tokens, deleting.
        Admin = "admin",
    }
}

impl Role {
    /// Whether this role has all that `needed` has.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

/// Who acts, and from where. The audit log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Which kind of identity, and which one.
    pub who: Who,
    /// The name to show.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The network address that the request came from; empty for the command line.
    pub address: String,
}

/// The kinds of identity that can act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A person signed in with a browser.
    User(UserId, SessionId),
    /// A script with an API token.
    ApiToken(ApiTokenId),
    /// Somebody at the server's own command line, or the server itself.
    System,
}

impl Actor {
    /// The server itself, or its command line.
    #[must_use]
    pub fn system(name: &str) -> Self {
        Self { who: Who::System, name: name.to_owned(), role: Role::Admin, address: String::new() }
    }

    /// How the audit log and a job's "requested by" name it, such as `user:anna`.
    #[must_use]
    pub fn label(&self) -> String {
        match self.who {
            Who::User(..) => format!("user:{}", self.name),
            Who::ApiToken(_) => format!("token:{}", self.name),
            Who::System => format!("system:{}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Role::{Admin, Operator, Viewer};

    #[test]
    fn each_role_has_all_that_the_one_before_it_has() {
        for (role, needed, may) in [
            (Viewer, Viewer, true),
            (Viewer, Operator, false),
            (Operator, Viewer, true),
            (Operator, Admin, false),
            (Admin, Operator, true),
        ] {
            assert_eq!(role.covers(needed), may, "{role} {needed}");
        }
    }
}
