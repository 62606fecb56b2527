//! The connection test: does the storage answer, is there a repository, does the password open it, and can this credential delete. The last
//! is asked by asking for the removal of something that cannot exist: nothing can be lost by it.

use super::{Repository, Work};
use crate::client::ClientError;
use crate::client::s3::S3;
use crate::client::storage::Storage;
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::restic::preflight::{self, Answer};
use restic_manager_shared::restic::address::Location;
use restic_manager_shared::wire::job::{CauseCode, End};
use restic_manager_shared::wire::operation::{DeleteVerdict, Outcome, ProbeReport};
use restic_manager_shared::wire::progress::LogLevel;

/// No content has this hash, so no file of a repository has this name.
const NOTHING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Work<'_> {
    pub(super) async fn probe(&self, repository: &Repository) -> Done {
        let mut report = ProbeReport::default();
        let done = self.ask_all(repository, &mut report).await;
        report.evidence.iter().for_each(|line| self.say(LogLevel::Info, line));
        Done { outcome: Some(Outcome::Probe(report)), ..done }
    }

    async fn ask_all(&self, repository: &Repository, report: &mut ProbeReport) -> Done {
        let around = &self.around;
        match preflight::ask(&repository.spec.url, &repository.secrets, around, &repository.vars).await {
            Answer::Hopeless(code, why) => {
                report.evidence.push(why.clone());
                return self.failed(Verdict::failed(code, why));
            }
            Answer::Missing => {
                report.evidence.push("the storage answers, and there is no repository at the address yet".into());
                self.may_delete(repository, report).await;
                return Verdict { end: End::Succeeded, cause: None }.into();
            }
            Answer::Ready => report.evidence.push("the storage answers, and a repository is there".into()),
            Answer::Unknown => {}
        }
        let done = self.open(repository, report).await;
        if report.exists || done.verdict.end == End::Succeeded {
            self.may_delete(repository, report).await;
        }
        done
    }

    /// Whether the password opens it, which also says whether it is there.
    async fn open(&self, repository: &Repository, report: &mut ProbeReport) -> Done {
        let mut run = match self.run(repository, Operation::CatConfig).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let done = self.done(&run);
        match done.verdict.code() {
            None => {
                (report.exists, report.password_ok) = (true, Some(true));
                report.evidence.push("the password opens it".into());
                if let Gathered::Document(text) = run.transcript.take_gathered() {
                    report.repository = id_of(&text);
                }
                done
            }
            Some(CauseCode::WrongPassword) => {
                (report.exists, report.password_ok) = (true, Some(false));
                report.evidence.push("the password does not open it".into());
                done
            }
            Some(CauseCode::RepositoryMissing) => {
                report.evidence.push("there is no repository at the address yet".into());
                Done { verdict: Verdict { end: End::Succeeded, cause: None }, ..done }
            }
            Some(_) => done,
        }
    }

    async fn may_delete(&self, repository: &Repository, report: &mut ProbeReport) {
        let location = Location::parse(&repository.spec.url);
        let (verdict, evidence) = match location.backend() {
            "rest" => self.may_delete_at_rest(repository).await,
            "s3" => self.may_delete_at_s3(repository).await,
            "local" => at_folder(&location),
            "sftp" => (
                DeleteVerdict::CannotTell,
                vec![
                    "sftp itself cannot forbid the deletion of files only; whether the server does, it cannot say"
                        .into(),
                ],
            ),
            other => {
                (DeleteVerdict::CannotTell, vec![format!("there is no safe way to ask a storage of kind {other}")])
            }
        };
        report.can_delete = verdict;
        report.evidence.extend(evidence);
    }

    async fn may_delete_at_rest(&self, repository: &Repository) -> (DeleteVerdict, Vec<String>) {
        let around = &self.around;
        let storage =
            Storage::rest(&repository.spec.url, &repository.secrets, around.proxy.as_deref(), around.ca.as_deref());
        let Ok(Some(storage)) = storage else { return (DeleteVerdict::CannotTell, Vec::new()) };
        let mut evidence = Vec::new();
        let mut answers = [None; 2];
        for (folder, answer) in ["data", "locks"].into_iter().zip(&mut answers) {
            match storage.delete(folder, NOTHING).await {
                Ok(status) => {
                    evidence.push(format!(
                        "asked to delete a file that cannot exist in {folder}/: the storage answers {status}"
                    ));
                    *answer = Some(status);
                }
                Err(e) => evidence.push(format!("asked to delete a file that cannot exist in {folder}/: {e}")),
            }
        }
        (by_answers(answers[0], answers[1]), evidence)
    }

    async fn may_delete_at_s3(&self, repository: &Repository) -> (DeleteVerdict, Vec<String>) {
        let around = &self.around;
        let s3 = S3::open(&repository.spec.url, &repository.secrets, around.proxy.as_deref(), around.ca.as_deref());
        let Ok(Some(s3)) = s3 else {
            return (DeleteVerdict::CannotTell, vec!["the key is not among the credential's settings".into()]);
        };
        let (config, data) = (s3.head_config().await, s3.delete_data(NOTHING).await);
        let mut evidence = vec![];
        let mut said = |what: &str, answer: Result<u16, ClientError>| match answer {
            Ok(status) => {
                evidence.push(format!("{what}: the storage answers {status}"));
                Some(status)
            }
            Err(e) => {
                evidence.push(format!("{what}: {e}"));
                None
            }
        };
        let config = said("asked for the repository's configuration", config);
        let data = said("asked to delete an object that cannot exist in data/", data);
        let verdict = by_s3(config, data);
        if verdict == DeleteVerdict::CanDelete {
            evidence.push("versions or an object lock of the bucket may protect what is there all the same; that is not seen from here".into());
        }
        (verdict, evidence)
    }
}

/// The rule for S3: a key that may read the repository and is refused the deletion cannot delete. The storage answers a deletion that it
/// allows as done, whether or not there was such an object.
fn by_s3(config: Option<u16>, data: Option<u16>) -> DeleteVerdict {
    match (config, data) {
        (_, Some(200 | 204 | 404)) => DeleteVerdict::CanDelete,
        (Some(200), Some(403)) => DeleteVerdict::AppendOnly,
        (Some(_) | None, Some(_) | None) => DeleteVerdict::CannotTell,
    }
}

/// The rule: data may not go and locks may is append-only; a proxy that forbids every deletion is not.
fn by_answers(data: Option<u16>, locks: Option<u16>) -> DeleteVerdict {
    match (data, locks) {
        (Some(403), Some(200 | 204 | 404)) => DeleteVerdict::AppendOnly,
        (Some(200 | 204 | 404), _) => DeleteVerdict::CanDelete,
        (Some(_) | None, _) => DeleteVerdict::CannotTell,
    }
}

/// What may be written in a folder may be removed from it.
fn at_folder(location: &Location) -> (DeleteVerdict, Vec<String>) {
    let data = location.local().map(|folder| folder.join("data"));
    match data.as_deref().map(std::fs::metadata) {
        Some(Ok(meta)) if !meta.permissions().readonly() => (
            DeleteVerdict::CanDelete,
            vec!["it is a folder of this machine: who may write there may also delete".into()],
        ),
        Some(Ok(_)) => (DeleteVerdict::CannotTell, vec!["its folder of data is read-only here".into()]),
        Some(Err(e)) => (DeleteVerdict::CannotTell, vec![format!("its folder of data cannot be looked at: {e}")]),
        None => (DeleteVerdict::CannotTell, Vec::new()),
    }
}

fn id_of(config: &str) -> Option<String> {
    let json = config.get(config.find('{')?..=config.rfind('}')?)?;
    let value: serde_json::Value = serde_json::from_str(json).ok()?;
    value.get("id")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_servers() {
        use DeleteVerdict::{AppendOnly, CanDelete, CannotTell};
        for (what, data, locks, want) in [
            ("rest-server append-only", Some(403), Some(200), AppendOnly),
            ("rclone append-only", Some(403), Some(404), AppendOnly),
            ("rest-server", Some(200), Some(200), CanDelete),
            ("rclone", Some(404), Some(404), CanDelete),
            ("a proxy that forbids every deletion", Some(403), Some(403), CannotTell),
            ("a proxy that knows no DELETE", Some(405), Some(405), CannotTell),
            ("wrong user", Some(401), Some(401), CannotTell),
            ("an error", Some(500), Some(200), CannotTell),
            ("no answer for locks", Some(403), None, CannotTell),
            ("no answer", None, None, CannotTell),
        ] {
            assert_eq!(by_answers(data, locks), want, "{what}");
        }
        for (config, data, want) in [
            (Some(200), Some(403), AppendOnly),
            (Some(200), Some(204), CanDelete),
            (Some(403), Some(403), CannotTell),
            (Some(404), Some(403), CannotTell),
            (Some(200), Some(500), CannotTell),
            (None, None, CannotTell),
        ] {
            assert_eq!(by_s3(config, data), want, "{config:?} {data:?}");
        }
        assert_eq!(id_of("x\n{\n \"id\": \"ab\"\n}\n"), Some("ab".into()));
        assert_eq!(id_of("}{"), None);
    }
}
