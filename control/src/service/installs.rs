//! Install commands: what is run on a machine so that its agent enrols and goes on as a service. The page that shows one can be loaded again
//! while its token lives: the token is in memory, for the session that made it, and nowhere else. A restart forgets it; then a new command is
//! made of what was said for the old one.

use super::enrollment::{self, NewToken, TokenInput, unpack};
use super::hosts::load as load_host;
use super::random::{PlainToken, TokenHash};
use super::{ActError, Services, repositories};
use crate::domain::fleet::Lifecycle;
use crate::domain::permission::{Actor, Who};
use crate::store::enrollment::{TokenRecord, newest_of_host};
use restic_manager_shared::id::{HostId, RepositoryId, SessionId, TokenId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::RepositorySecrets;
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Commands that are kept at the same time; of more, those that end first are forgotten.
const MOST: usize = 1000;

/// What to run on the machine. It enrols the agent and has the system's service manager start it, now and with the machine.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Install {
    /// In a shell of a Linux with systemd. The agent's program is /usr/local/bin/restic-manager-agent.
    pub linux: String,
    /// In PowerShell as administrator. The program lies in a folder restic-manager-agent under C:\Program Files.
    pub windows: String,
}

/// The commands for a token. `base_url` is how agents reach this server.
#[must_use]
pub(super) fn install(base_url: &str, token: &str) -> Install {
    let fill = |text: &str| text.replace("BASE_URL", base_url).replace("TOKEN", token);
    Install { linux: fill(LINUX), windows: fill(WINDOWS) }
}

const LINUX: &str = "\
sudo /usr/local/bin/restic-manager-agent enroll --server BASE_URL --token TOKEN --state-dir /var/lib/restic-manager-agent &&
sudo tee /etc/systemd/system/restic-manager-agent.service >/dev/null <<'UNIT' &&
[Unit]
Description=restic-manager agent
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0
[Service]
ExecStartPre=-/usr/local/bin/restic-manager-agent.previous guard --state-dir /var/lib/restic-manager-agent
ExecStart=/usr/local/bin/restic-manager-agent run --state-dir /var/lib/restic-manager-agent
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
UNIT
sudo systemctl enable --now restic-manager-agent";

// The agent is no service of Windows' own kind: the task scheduler starts it with the machine, and again within minutes wherever it has ended.
const WINDOWS: &str = "\
$agent = 'C:\\Program Files\\restic-manager-agent\\restic-manager-agent.exe'
& $agent enroll --server BASE_URL --token TOKEN --state-dir C:\\ProgramData\\restic-manager-agent
if ($?) {
  $run = New-ScheduledTaskAction -Execute $agent -Argument 'run --state-dir C:\\ProgramData\\restic-manager-agent'
  $boot = New-ScheduledTaskTrigger -AtStartup
  $again = New-ScheduledTaskTrigger -Once -At (Get-Date) -RepetitionInterval (New-TimeSpan -Minutes 5)
  $set = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -ExecutionTimeLimit 0 -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries
  Register-ScheduledTask restic-manager-agent -User SYSTEM -RunLevel Highest -Action $run -Trigger $boot, $again -Settings $set
  Start-ScheduledTask restic-manager-agent
}";

/// Commands that may be shown again.
#[derive(Debug, Default)]
pub struct Shown(Mutex<HashMap<HostId, Kept>>);

/// A token as it is kept to be shown again.
#[derive(Debug)]
struct Kept {
    id: TokenId,
    token: PlainToken,
    /// Who may see it.
    session: SessionId,
    /// The form that it was made by: sent again, it is the same command.
    form: Option<TokenHash>,
    expires_at: Timestamp,
}

impl Shown {
    fn map(&self) -> MutexGuard<'_, HashMap<HostId, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a token until it ends. A host has one.
    fn keep(&self, host: HostId, kept: Kept, now: Timestamp) {
        let mut map = self.map();
        map.retain(|_, kept| kept.expires_at > now);
        let before = map.remove(&host);
        let form = kept.form.clone().or_else(|| before.filter(|b| b.session == kept.session)?.form);
        if map.len() >= MOST
            && let Some(first) = map.iter().min_by_key(|(_, kept)| kept.expires_at).map(|(host, _)| *host)
        {
            map.remove(&first);
        }
        map.insert(host, Kept { form, ..kept });
    }

    /// The host's token, if it is this one and this session made it.
    fn token(&self, host: HostId, id: TokenId, session: SessionId) -> Option<PlainToken> {
        let map = self.map();
        map.get(&host).filter(|kept| kept.id == id && kept.session == session).map(|kept| kept.token.clone())
    }

    /// The host that this form of this session has made already.
    fn made_by(&self, form: &TokenHash, session: SessionId, now: Timestamp) -> Option<HostId> {
        let same = |kept: &Kept| kept.form.as_ref() == Some(form) && kept.session == session && kept.expires_at > now;
        self.map().iter().find(|(_, kept)| same(kept)).map(|(host, _)| *host)
    }
}

fn session(actor: &Actor) -> Option<SessionId> {
    match actor.who {
        Who::User(_, session) => Some(session),
        Who::ApiToken(_) | Who::System => None,
    }
}

fn keep(s: &Services, actor: &Actor, made: NewToken, form: Option<TokenHash>) -> HostId {
    if let Some(session) = session(actor) {
        let token = PlainToken::known(made.token);
        let kept = Kept { id: made.id, token, session, form, expires_at: made.expires_at };
        s.shown.keep(made.host_id, kept, Timestamp::now());
    }
    made.host_id
}

/// Makes a host to be, and a command that its page shows. `form` is all that was sent, with what tells one form from another: sent twice it
/// makes nothing new.
///
/// # Errors
/// As [`enrollment::create_token`].
pub async fn make(s: &Services, actor: &Actor, input: TokenInput, form: &str) -> Result<HostId, ActError> {
    let form = TokenHash::of(form);
    let known = session(actor).and_then(|session| s.shown.made_by(&form, session, Timestamp::now()));
    if let Some(host) = known
        && s.db.read(move |conn| load_host(conn, host)).await.is_ok()
    {
        return Ok(host);
    }
    let made = enrollment::create_token(s, actor, input, "").await?;
    Ok(keep(s, actor, made, Some(form)))
}

/// Makes a new command for a host that still waits, of what its last one was made of; that one is void then. Asked again in place of a
/// token that has been replaced already, or for a host whose agent has come, it changes nothing.
///
/// # Errors
/// There is no such host, or it has no token to go by.
pub async fn renew(s: &Services, actor: &Actor, host: HostId, instead_of: Option<TokenId>) -> Result<(), ActError> {
    let waiting =
        s.db.read(move |conn| {
            let pending = load_host(conn, host)?.lifecycle == Lifecycle::Pending;
            Ok::<_, ActError>(newest_of_host(conn, host)?.filter(|_| pending))
        })
        .await?;
    let Some(last) = waiting.filter(|last| instead_of.is_none_or(|id| id == last.id)) else { return Ok(()) };
    let seconds = last.expires_at.since(last.created_at).as_secs();
    let input = TokenInput {
        host_id: Some(host),
        valid_seconds: u32::try_from(seconds).ok().filter(|s| *s > 0),
        ..TokenInput::default()
    };
    let made = enrollment::create_token(s, actor, input, "").await?;
    keep(s, actor, made, None);
    Ok(())
}

/// What a host to be was given, and its command.
#[derive(Clone, Debug)]
pub struct Command {
    /// The newest token's record.
    pub token: TokenId,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// Whether an agent can still use it.
    pub lives: bool,
    /// Whether the host was named; else its agent names itself.
    pub named: bool,
    /// The first schedule's paths.
    pub paths: Vec<String>,
    /// The repository that it was given, with its name.
    pub repository: Option<(RepositoryId, String)>,
    /// Its user at a rest-server.
    pub rest_username: Option<String>,
    /// The command itself, for the session that made it.
    pub install: Option<Install>,
}

/// What a host was given with its newest token; none if it never had one. `base_url` is how agents reach this server.
///
/// # Errors
/// When there is no such host.
pub async fn of_host(s: &Services, actor: &Actor, host: HostId, base_url: &str) -> Result<Option<Command>, ActError> {
    let now = Timestamp::now();
    let found =
        s.db.read(move |conn| {
            load_host(conn, host)?;
            let Some(token) = newest_of_host(conn, host)? else { return Ok(None) };
            let repository = match token.repository_id {
                Some(id) => Some((id, repositories::load(conn, id)?.repository.name)),
                None => None,
            };
            Ok::<_, ActError>(Some((token, repository)))
        })
        .await?;
    let Some((token, repository)) = found else { return Ok(None) };
    let lives = token.used_at.is_none() && token.revoked_at.is_none() && token.expires_at > now;
    let plain = session(actor).filter(|_| lives).and_then(|session| s.shown.token(host, token.id, session));
    Ok(Some(Command {
        token: token.id,
        expires_at: token.expires_at,
        lives,
        named: token.named,
        rest_username: repository.as_ref().and_then(|_| user(s, &token)),
        repository,
        install: plain.map(|plain| install(base_url, plain.reveal())),
        paths: token.initial_paths,
    }))
}

/// The storage's user that a token brings.
fn user(s: &Services, token: &TokenRecord) -> Option<String> {
    let (_, row, sealed) = unpack(token.credential_sealed.as_deref()?)?;
    let text = s.vault.open_sealed(("host_credentials", "secrets", &row.to_string()), &sealed).ok()?;
    serde_json::from_str::<RepositorySecrets>(text.reveal()).ok()?.rest_username
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn kept(session: SessionId, form: Option<&str>, expires_at: Timestamp) -> Kept {
        let token = PlainToken::known(format!("rme_{}", expires_at.micros()));
        Kept { id: TokenId::new(), token, session, form: form.map(TokenHash::of), expires_at }
    }

    #[test]
    fn a_command_is_shown_to_the_session_that_made_it_until_it_ends() {
        let (shown, now, host) = (Shown::default(), Timestamp::from_seconds(1000), HostId::new());
        let (mine, other) = (SessionId::new(), SessionId::new());
        let first = kept(mine, Some("form"), now + Duration::from_secs(10));
        let id = first.id;
        shown.keep(host, first, now);
        assert_eq!(shown.token(host, id, mine).expect("kept").reveal(), "rme_1010000000");
        assert!(shown.token(host, id, other).is_none(), "another session");
        assert!(shown.token(host, TokenId::new(), mine).is_none(), "another token");
        assert_eq!(shown.made_by(&TokenHash::of("form"), mine, now), Some(host));
        assert_eq!(shown.made_by(&TokenHash::of("form"), other, now), None);
        assert_eq!(shown.made_by(&TokenHash::of("form"), mine, now + Duration::from_secs(11)), None);
        let second = kept(mine, None, now + Duration::from_secs(20));
        shown.keep(host, second, now);
        assert!(shown.token(host, id, mine).is_none(), "a newer one takes its place");
        assert_eq!(shown.made_by(&TokenHash::of("form"), mine, now), Some(host), "still by that form");
    }

    #[test]
    fn there_are_not_too_many() {
        let (shown, now, session) = (Shown::default(), Timestamp::from_seconds(0), SessionId::new());
        let hosts: Vec<HostId> = (0..=MOST).map(|_| HostId::new()).collect();
        let ids: Vec<TokenId> = (1..)
            .zip(&hosts)
            .map(|(n, host)| {
                let kept = kept(session, None, now + Duration::from_secs(n));
                let id = kept.id;
                shown.keep(*host, kept, now);
                id
            })
            .collect();
        assert_eq!(shown.map().len(), MOST);
        assert!(shown.token(hosts[0], ids[0], session).is_none(), "the first to end was forgotten");
        assert!(shown.token(hosts[MOST], ids[MOST], session).is_some());
    }

    #[test]
    fn commands_hold_address_and_token() {
        let made = install("https://backup.example.org", "rme_abc");
        for command in [&made.linux, &made.windows] {
            assert!(
                command.contains("enroll --server https://backup.example.org --token rme_abc --state-dir"),
                "{command}"
            );
            assert!(!command.contains("BASE_URL") && !command.contains("TOKEN"), "{command}");
        }
    }
}
