//! Keys: each opens the repository with a password of its own. A new one's password comes with the job and goes to restic through a file.

use super::{Repository, Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::operation::{KeyRecord, Outcome};

impl Work<'_> {
    pub(super) async fn key_list(&self, repository: &Repository) -> Done {
        let outcome = |gathered| match gathered {
            Gathered::Keys(_, keys) => Some(Outcome::Keys { keys, added: None, removed: None }),
            _ => None,
        };
        self.simply(repository, Operation::KeyList, outcome).await
    }

    pub(super) async fn key_add(&self, repository: &Repository) -> Done {
        let Some(password) = self.secrets.new_password.as_ref().map(Secret::reveal).filter(|p| !p.trim().is_empty())
        else {
            return self.failed(Verdict::failed(CauseCode::CredentialMissing, "the job came without the new password"));
        };
        // restic drops blanks and line ends around what is in the file, and the key would have another password.
        if password.trim() != password || password.contains(['\n', '\r', '\0']) {
            let message = "the new password begins or ends with a blank, or has a line end in it; restic cannot take it from a file";
            return self.failed(Verdict::failed(CauseCode::ResticFailed, message));
        }
        let file = match self.dir.write("new-password", password.as_bytes()) {
            Ok(file) => file,
            Err(e) => return self.failed(Verdict::failed(CauseCode::AgentDisk, e.to_string())),
        };
        let before = self.keys(repository).await;
        let mut run = match self.run(repository, Operation::KeyAdd { password_file: &file }).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        if worked(&done) {
            let named = if let Gathered::NewKey(id) = run.transcript.take_gathered() { id } else { None };
            let keys = self.keys(repository).await;
            // 0.14 does not say which it added.
            let added =
                named.or_else(|| keys.iter().find(|k| !before.iter().any(|b| b.id == k.id)).map(|k| k.id.clone()));
            done.outcome = Some(Outcome::Keys { keys, added, removed: None });
        }
        done
    }

    pub(super) async fn key_remove(&self, repository: &Repository, key: &str) -> Done {
        let run = match self.run(repository, Operation::KeyRemove { key }).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        if !worked(&done) {
            return done;
        }
        let keys = self.keys(repository).await;
        if keys.iter().any(|k| k.id.starts_with(key) || key.starts_with(&k.id)) {
            done.verdict = Verdict::failed(CauseCode::RemovalRefused, format!("the key {key} is still there"));
        }
        let removed = worked(&done).then(|| key.to_owned());
        done.outcome = Some(Outcome::Keys { keys, added: None, removed });
        done
    }

    async fn keys(&self, repository: &Repository) -> Vec<KeyRecord> {
        match self.run(repository, Operation::KeyList).await.map(|mut run| run.transcript.take_gathered()) {
            Ok(Gathered::Keys(_, keys)) => keys,
            Ok(_) | Err(_) => Vec::new(),
        }
    }
}
