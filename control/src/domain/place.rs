//! A place: one restic repository. Where a repository's address holds `{host}`, each host has its own there; otherwise there is one for all.

use restic_manager_shared::id::{HostId, RepositoryId};

/// One restic repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The repository as it is known here.
    pub repository: RepositoryId,
    /// Whose own it is; none if there is one for all.
    pub host: Option<HostId>,
}

impl Place {
    /// The place that a host uses, given the repository's address.
    #[must_use]
    pub fn of(repository: RepositoryId, url: &str, host: HostId) -> Self {
        Self { repository, host: is_per_host(url).then_some(host) }
    }

    /// Its spelling in the database, beside the repository's id.
    #[must_use]
    pub fn text(self) -> String {
        self.host.map(|id| id.to_string()).unwrap_or_default()
    }
}

/// Whether each host has a repository of its own at this address.
#[must_use]
pub fn is_per_host(url: &str) -> bool {
    url.contains("{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_with_a_placeholder_has_a_place_for_each_host() {
        let (repository, host) = (RepositoryId::new(), HostId::new());
        assert_eq!(Place::of(repository, "rest:http://x/{host}/", host).host, Some(host));
        assert_eq!(Place::of(repository, "rest:http://x/all/", host).host, None);
        assert_eq!(Place { repository, host: None }.text(), "");
    }
}
