//! Why an act was not done, told apart by type. Doors turn it into a problem document or a page.

use super::release_refusal::ReleaseRefusal;
use crate::store::StoreError;
use restic_manager_shared::id::JobId;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::cause::Cause;
use restic_manager_shared::wire::problem::FieldError;
use std::time::Duration;

/// Why an act was not done.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// Some fields are wrong.
    #[error("some fields are not valid")]
    Invalid(Vec<FieldError>),
    /// There is no such thing, or it is not the caller's to see.
    #[error("there is no such {}", .0.word())]
    NotFound(Noun),
    /// A rule says no.
    #[error("{}", .0.detail())]
    Refused(Refusal),
    /// The database did not do as it was told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something inside is broken; the log says what.
    #[error("{0}")]
    Internal(&'static str),
}

impl From<Refusal> for ActError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ReleaseRefusal> for ActError {
    fn from(refusal: ReleaseRefusal) -> Self {
        Self::Refused(Refusal::Release(refusal))
    }
}

impl ActError {
    /// One wrong field.
    #[must_use]
    pub fn field(pointer: &str, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    /// A host.
    Host,
    /// A schedule.
    Schedule,
    /// A repository.
    Repository,
    /// A job.
    Job,
    /// An alert.
    Alert,
    /// A channel.
    Channel,
    /// A snapshot.
    Snapshot,
    /// A question.
    Query,
    /// A restore.
    Restore,
    /// A user.
    User,
    /// An API token.
    ApiToken,
    /// A release of the agent.
    Release,
    /// A roll-out.
    Rollout,
}

impl Noun {
    /// Its word, which also makes the problem's code: `host_not_found`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Schedule => "schedule",
            Self::Repository => "repository",
            Self::Job => "job",
            Self::Alert => "alert",
            Self::Channel => "channel",
            Self::Snapshot => "snapshot",
            Self::Query => "query",
            Self::Restore => "restore",
            Self::User => "user",
            Self::ApiToken => "api_token",
            Self::Release => "release",
            Self::Rollout => "rollout",
        }
    }
}

const DUPLICATE: &str = "A cloned machine, or an agent started twice: each needs its own state folder and enrolment.";
const UNKNOWN: &str = "It was removed here, or enrolled with another server. Enrol it again with a new token.";
const APPEND_ONLY: &str = "On it this would half-succeed and leave litter. Give the repository a maintenance host with a full \
    credential, or name a host that has one.";
const LAST_ADMIN: &str = "Nobody deletes themselves, and somebody must be able to sign in and do everything. Make another user an \
    administrator first.";

/// The rules that say no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No identity came with the request.
    Unauthenticated,
    /// The role does not cover the act.
    Forbidden,
    /// The form or cookie request did not come from our own page.
    CrossSite,
    /// User name or password is wrong.
    WrongLogin,
    /// Too many tries.
    RateLimited(Duration),
    /// The setup token is wrong.
    WrongSetupToken,
    /// There are users already.
    SetupDone,
    /// There is no such enrollment token.
    TokenUnknown,
    /// An agent has used the enrollment token.
    TokenUsed,
    /// The enrollment token is too old.
    TokenExpired,
    /// The enrollment token was taken back, or a newer one replaces it.
    TokenRevoked,
    /// Another host has the same key.
    KeyInUse,
    /// The agent's proof does not match its keys.
    BadProof,
    /// The agent speaks a version that is no longer served.
    AgentTooOld,
    /// The agent's token is not from a host that we know.
    AgentUnknown,
    /// The agent's clock is off.
    ClockSkew(Timestamp),
    /// Another agent process polls as the same host.
    DuplicateAgent,
    /// The name is taken.
    NameTaken(&'static str),
    /// A host's Run now does not know which schedule is meant.
    PickSchedule(&'static str),
    /// The schedule is disabled.
    ScheduleDisabled,
    /// The schedule has no repository.
    NoRepository,
    /// The host has no credential for the repository.
    NoCredential,
    /// The schedule's last run is not over.
    AlreadyRunning(JobId),
    /// The host waits for its agent, or is retired.
    HostNotEnrolled,
    /// Schedules back up to the repository.
    RepositoryInUse(i64),
    /// The job has ended.
    JobFinished,
    /// Another attempt of the job counts.
    StaleAttempt,
    /// It takes something away for good and was not confirmed; the text says what.
    ConfirmationNeeded(String),
    /// The host's credential can only append.
    CredentialAppendOnly,
    /// The host's restic is too old.
    ResticTooOld {
        /// What is needed.
        needed: Version,
        /// What it has.
        has: Version,
    },
    /// No host has a credential that can do it.
    NoHostCan,
    /// Schedules of the host back up with the credential.
    CredentialInUse(i64),
    /// A change of the repository's password is under way.
    RotationUnderWay,
    /// A retention has no keep rule.
    NoKeepRule,
    /// Retention does not run for this host.
    RetentionFrozen(String),
    /// The host that would have to answer is not online.
    HostOffline(String),
    /// A host that is online did not answer in time.
    NoAnswer,
    /// The host could not look.
    LookFailed(Cause),
    /// The host reads the snapshots for the first time.
    StillReading,
    /// Nobody would be left who may do everything.
    LastAdmin,
    /// It is about releases of the agent.
    Release(ReleaseRefusal),
}

impl Refusal {
    /// Whether no host could look into a snapshot now: a page shows that where the files would be.
    #[must_use]
    pub const fn is_of_looking(&self) -> bool {
        matches!(
            self,
            Self::HostOffline(_) | Self::NoAnswer | Self::NoHostCan | Self::AgentTooOld | Self::LookFailed(_)
        )
    }

    /// The stable code for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::CrossSite => "cross_site",
            Self::WrongLogin => "wrong_login",
            Self::RateLimited(_) => "rate_limited",
            Self::WrongSetupToken => "wrong_setup_token",
            Self::SetupDone => "setup_done",
            Self::TokenUnknown => "token_unknown",
            Self::TokenUsed => "token_used",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::KeyInUse => "key_in_use",
            Self::BadProof => "bad_proof",
            Self::AgentTooOld => "agent_too_old",
            Self::AgentUnknown => "agent_unknown",
            Self::ClockSkew(_) => "clock_skew",
            Self::DuplicateAgent => "duplicate_agent",
            Self::NameTaken(_) => "name_taken",
            Self::PickSchedule(_) => "pick_schedule",
            Self::ScheduleDisabled => "schedule_disabled",
            Self::NoRepository => "no_repository",
            Self::NoCredential => "no_credential",
            Self::AlreadyRunning(_) => "already_running",
            Self::HostNotEnrolled => "host_not_enrolled",
            Self::RepositoryInUse(_) => "repository_in_use",
            Self::JobFinished => "job_finished",
            Self::StaleAttempt => "stale_attempt",
            Self::ConfirmationNeeded(_) => "confirmation_needed",
            Self::CredentialAppendOnly => "credential_append_only",
            Self::ResticTooOld { .. } => "restic_too_old",
            Self::NoHostCan => "no_host_can",
            Self::CredentialInUse(_) => "credential_in_use",
            Self::RotationUnderWay => "rotation_under_way",
            Self::NoKeepRule => "no_keep_rule",
            Self::RetentionFrozen(_) => "retention_frozen",
            Self::HostOffline(_) => "host_offline",
            Self::NoAnswer => "no_answer",
            Self::LookFailed(_) => "look_failed",
            Self::StillReading => "still_reading",
            Self::LastAdmin => "last_admin",
            Self::Release(refusal) => refusal.code(),
        }
    }

    /// What happened, in a few words.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "Sign in first",
            Self::Forbidden => "Your role does not allow this",
            Self::CrossSite => "The request did not come from this site's own page",
            Self::WrongLogin => "User name or password is wrong",
            Self::RateLimited(_) => "Too many tries",
            Self::WrongSetupToken => "The setup token is wrong",
            Self::SetupDone => "Setup is done already",
            Self::TokenUnknown => "There is no such enrollment token",
            Self::TokenUsed => "The enrollment token was used already",
            Self::TokenExpired => "The enrollment token has expired",
            Self::TokenRevoked => "The enrollment token was taken back",
            Self::KeyInUse => "Another host has this key",
            Self::BadProof => "The agent's keys do not belong together",
            Self::AgentTooOld => "The agent is too old",
            Self::AgentUnknown => "The agent is not known here",
            Self::ClockSkew(_) => "The agent's clock is off",
            Self::DuplicateAgent => "Another agent speaks for this host",
            Self::NameTaken(_) => "The name is taken",
            Self::PickSchedule(_) => "Pick a schedule",
            Self::ScheduleDisabled => "The schedule is disabled",
            Self::NoRepository => "The schedule has no repository",
            Self::NoCredential => "The host has no credential for the repository",
            Self::AlreadyRunning(_) => "The schedule runs already",
            Self::HostNotEnrolled => "The host has no agent",
            Self::RepositoryInUse(_) => "The repository is in use",
            Self::JobFinished => "The job has ended",
            Self::StaleAttempt => "Another attempt of this job counts",
            Self::ConfirmationNeeded(_) => "This has to be confirmed",
            Self::CredentialAppendOnly => "The host's credential can only append",
            Self::ResticTooOld { .. } => "The host's restic is too old",
            Self::NoHostCan => "No host can do it",
            Self::CredentialInUse(_) => "The credential is in use",
            Self::RotationUnderWay => "The password is being changed already",
            Self::NoKeepRule => "The retention has no keep rule",
            Self::RetentionFrozen(_) => "The host's retention is frozen",
            Self::HostOffline(_) => "The host is offline",
            Self::NoAnswer => "The host did not answer in time",
            Self::LookFailed(_) => "The host could not look",
            Self::StillReading => "The snapshots are still being read",
            Self::LastAdmin => "An administrator has to be left",
            Self::Release(refusal) => refusal.title(),
        }
    }

    /// What it means and what to do.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Unauthenticated => {
                "Send an API token as \"Authorization: Bearer ...\", or sign in with a browser.".into()
            }
            Self::Forbidden => "Ask an administrator for a role that may do it.".into(),
            Self::CrossSite => "Open the page again and repeat the action there.".into(),
            Self::WrongLogin => "Check both and try again.".into(),
            Self::RateLimited(wait) => format!("Try again in {} seconds.", wait.as_secs().max(1)),
            Self::WrongSetupToken => "It is printed to the server's log at each start until there is a user.".into(),
            Self::SetupDone => "Sign in, or add users with restic-manager user add.".into(),
            Self::TokenUnknown => "Check that it was copied whole, or make a new one under Add host.".into(),
            Self::TokenUsed => "A token works once. Make a new one on the host's page.".into(),
            Self::TokenExpired => "Make a new one on the host's page.".into(),
            Self::TokenRevoked => "A newer one replaces it. Use that, or make another on the host's page.".into(),
            Self::KeyInUse => {
                "Two machines must not share a state folder: delete it on this machine and enrol again.".into()
            }
            Self::BadProof => "The request was altered on its way, or the agent is not genuine.".into(),
            Self::AgentTooOld => "Install the agent version that this server offers.".into(),
            Self::AgentUnknown => UNKNOWN.into(),
            Self::ClockSkew(now) => format!("The server's time is {now}."),
            Self::DuplicateAgent => DUPLICATE.into(),
            Self::NameTaken(what) => format!("Another {what} is called that. Choose another name."),
            Self::PickSchedule(why) => format!("{why} Open the host's Schedules tab and press Run now on one of them."),
            Self::ScheduleDisabled => "Enable it first.".into(),
            Self::NoRepository => "Edit the schedule and choose where its backups go.".into(),
            Self::NoCredential => "Give the host a credential for the repository first.".into(),
            Self::AlreadyRunning(job) => format!("Job {job} is not over. Wait for it, or cancel it."),
            Self::HostNotEnrolled => "Run the install command on the machine first.".into(),
            Self::RepositoryInUse(n) => format!("{n} schedules back up to it. Change or delete them first."),
            Self::JobFinished => "There is nothing to stop.".into(),
            Self::StaleAttempt => "Drop this attempt.".into(),
            Self::ConfirmationNeeded(what) => {
                format!("It {what}. Send it again with \"confirm\": true if that is meant.")
            }
            Self::CredentialAppendOnly => APPEND_ONLY.into(),
            Self::ResticTooOld { needed, has } => format!(
                "It needs restic {}.{} or later; the host has {has}. Install a newer one there: https://restic.readthedocs.io/en/stable/020_installation.html",
                needed.major, needed.minor
            ),
            Self::NoHostCan => {
                "Give the repository a maintenance host with a full credential, or a host a credential for it.".into()
            }
            Self::CredentialInUse(n) => {
                format!("{n} schedules of the host back up with it. Change or delete them first.")
            }
            Self::RotationUnderWay => "Wait until it has ended; the repository's page says how far it is.".into(),
            Self::NoKeepRule => "It keeps everything. Give the schedule at least one keep rule to forget by.".into(),
            Self::RetentionFrozen(why) => format!("{why}. Clear it on the host's page first."),
            Self::HostOffline(name) => {
                format!("{name} would have to answer. Wait until it is back, or let another host read the repository.")
            }
            Self::NoAnswer => "Try again in a moment.".into(),
            Self::LookFailed(cause) => cause.message.clone(),
            Self::LastAdmin => LAST_ADMIN.into(),
            Self::Release(refusal) => refusal.detail(),
            Self::StillReading => "The host reads them for the first time. Try again in a moment.".into(),
        }
    }
}
