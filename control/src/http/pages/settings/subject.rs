//! What entries of the audit log are about: its name as people know it, and where that is.

use super::super::names::Names;
use crate::http::problem::ApiError;
use crate::service::audit::Chained;
use crate::service::names::Wanted;
use crate::service::user_admin::UserView;
use crate::service::{Services, user_admin};
use crate::words::audit as words;
use crate::words::things::{self, Thing, named};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId, UserId};

/// What an entry is about, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its kind and its name, or else its identity.
    pub said: String,
    /// Where it is, if it is there.
    pub href: Option<String>,
}

/// What each of these entries is about. The names of all are looked up at once.
///
/// # Errors
/// When the database fails.
pub async fn all(s: &Services, entries: &[Chained]) -> Result<Vec<About>, ApiError> {
    let subjects: Vec<Subject> = entries.iter().map(|c| Subject::of(&c.entry.subject)).collect();
    tell(s, subjects).await
}

/// What one spelling of the log means.
///
/// # Errors
/// When the database fails.
pub async fn one(s: &Services, text: &str) -> Result<String, ApiError> {
    Ok(tell(s, vec![Subject::of(text)]).await?.pop().map(|about| about.said).unwrap_or_default())
}

async fn tell(s: &Services, subjects: Vec<Subject>) -> Result<Vec<About>, ApiError> {
    let mut names = Names::default();
    names.learn(s, wanted(&subjects)).await?;
    let users = user_admin::list(s).await?;
    let mut found = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let (said, href) = subject.told(s, &mut names, &users).await?;
        found.push(About { said, href });
    }
    Ok(found)
}

/// What an entry is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A host.
    Host(HostId),
    /// A schedule.
    Schedule(ScheduleId),
    /// A repository.
    Repository(RepositoryId),
    /// A user.
    User(UserId),
    /// A job.
    Job(JobId),
    /// Anything else.
    Other(String),
}

impl Subject {
    /// Out of its spelling in the log, such as `host:<id>`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let known = text.split_once(':').and_then(|(kind, id)| match kind {
            "host" => id.parse().ok().map(Self::Host),
            "schedule" => id.parse().ok().map(Self::Schedule),
            "repository" => id.parse().ok().map(Self::Repository),
            "user" => id.parse().ok().map(Self::User),
            "job" => id.parse().ok().map(Self::Job),
            _ => None,
        });
        known.unwrap_or_else(|| Self::Other(text.to_owned()))
    }

    /// For people, and where it is.
    async fn told(
        self,
        s: &Services,
        names: &mut Names,
        users: &[UserView],
    ) -> Result<(String, Option<String>), ApiError> {
        let gone = |thing, id: String| (things::since(thing, &id), None);
        Ok(match self {
            Self::Host(id) => match names.known_host(s, id).await? {
                Some(name) => (named(Thing::Host, &name), Some(format!("/hosts/{id}"))),
                None => gone(Thing::Host, id.to_string()),
            },
            Self::Schedule(id) => match names.schedule(s, id).await? {
                Some(name) => (named(Thing::Schedule, &name), Some(format!("/schedules/{id}/edit"))),
                None => gone(Thing::Schedule, id.to_string()),
            },
            Self::Repository(id) => match names.repository(s, id).await? {
                Some(name) => (named(Thing::Repository, &name), Some(format!("/repositories/{id}"))),
                None => gone(Thing::Repository, id.to_string()),
            },
            Self::User(id) => match users.iter().find(|user| user.id == id) {
                Some(user) => (named(Thing::User, &user.name), Some(format!("/settings/users/{id}"))),
                None => gone(Thing::User, id.to_string()),
            },
            Self::Job(id) => (named(Thing::Job, &id.to_string()), Some(format!("/jobs/{id}"))),
            Self::Other(text) => match words::thing(text.split(':').next().unwrap_or_default()) {
                Some((thing, href)) => (thing.to_owned(), Some(href.to_owned())),
                None => (text, None),
            },
        })
    }
}

fn wanted(subjects: &[Subject]) -> Wanted {
    let mut wanted = Wanted::default();
    for subject in subjects {
        match subject {
            Subject::Host(id) => wanted.hosts.push(*id),
            Subject::Schedule(id) => wanted.schedules.push(*id),
            Subject::Repository(id) => wanted.repositories.push(*id),
            Subject::User(_) | Subject::Job(_) | Subject::Other(_) => {}
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read() {
        let id = HostId::new();
        assert_eq!(Subject::of(&format!("host:{id}")), Subject::Host(id));
        for other in ["host:none", "settings:general", "a word"] {
            assert_eq!(Subject::of(other), Subject::Other(other.into()));
        }
    }
}
