//! A host's account at the storage, written into the storage's own file by the agent that runs beside it.

use super::Work;
use crate::accounts::{self, AccountError};
use crate::report::Done;
use crate::restic::judge::Verdict;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::{CauseCode, End};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::LogLevel;

impl Work<'_> {
    pub(super) fn write_account(&self, user: &str) -> Done {
        let Some(file) = &self.policy.accounts_file else {
            let message = crate::policy::Forbidden::NoAccountsFile.to_string();
            return self.failed(Verdict::failed(CauseCode::PolicyForbids, message));
        };
        let Some(line) = self.secrets.account_line.as_ref().map(Secret::reveal) else {
            return self
                .failed(Verdict::failed(CauseCode::CredentialMissing, "the job came without the account's line"));
        };
        match accounts::write(file, user, line) {
            Ok(()) => {
                self.say(LogLevel::Info, &format!("the account {user} stands in {}", file.display()));
                let outcome = Some(Outcome::Account { user: user.to_owned() });
                Done { outcome, ..Done::from(Verdict { end: End::Succeeded, cause: None }) }
            }
            Err(e) => {
                let code = match e {
                    AccountError::Bad(_) => CauseCode::ResticFailed,
                    AccountError::Io { .. } => CauseCode::AgentDisk,
                };
                self.failed(Verdict::failed(code, e.to_string()))
            }
        }
    }
}
