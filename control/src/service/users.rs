//! Users: adding them, signing in and out, and who a browser's cookie belongs to.

use super::random::{PlainToken, TokenHash};
use super::{ActError, Refusal, Services, audit};
use crate::domain::permission::{Actor, Role, Who};
use crate::domain::repository::check_name;
use crate::store::users::{SessionRecord, UserRecord};
use crate::store::{Conn, StoreError, settings, users};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use restic_manager_shared::id::{SessionId, UserId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

const SETUP: &str = "setup_token_hash";
/// How long a session lasts when the person asked to stay signed in.
const LONG: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long it lasts otherwise.
const SHORT: Duration = Duration::from_secs(12 * 3600);
/// The shortest password.
const MIN_PASSWORD: usize = 10;
/// Passwords that are tried first by everybody, among those long enough to pass.
const COMMON: [&str; 12] = [
    "1234567890",
    "password12",
    "password123",
    "qwertyuiop",
    "1q2w3e4r5t",
    "administrator",
    "changeme123",
    "letmein123",
    "0123456789",
    "1111111111",
    "iloveyou12",
    "resticmanager",
];
/// Verified when there is no such user, so that an unknown name takes as long as a wrong password.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$FKtEtWbmLkQmYLdmSVXMZ8O4a1QbcgYm5m4AqkXo3rM";

/// Limits on signing in: tries per account and per address, and how many passwords are checked at once (19 MiB each).
pub struct Gate {
    tries: DefaultKeyedRateLimiter<String>,
    checks: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        let quota = Quota::per_minute(NonZeroU32::MIN.saturating_add(9)).allow_burst(NonZeroU32::MIN.saturating_add(9));
        Self { tries: RateLimiter::keyed(quota), checks: Arc::new(Semaphore::new(2)) }
    }
}

impl Gate {
    fn pass(&self, key: String) -> Result<(), ActError> {
        if self.tries.len() > 10_000 {
            self.tries.retain_recent();
        }
        self.tries
            .check_key(&key)
            .map_err(|until| Refusal::RateLimited(until.wait_time_from(DefaultClock::default().now())).into())
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ActError> {
        let _permit = self.checks.acquire().await.map_err(|_| ActError::Internal("the server is stopping"))?;
        tokio::task::spawn_blocking(f).await.map_err(|_| ActError::Internal("a password check panicked"))
    }
}

pub(super) fn hash(password: &Secret) -> Result<String, ActError> {
    Argon2::default()
        .hash_password(password.reveal().as_bytes())
        .map(|h| h.to_string())
        .map_err(|_| ActError::Internal("the password cannot be hashed"))
}

fn check_new(name: &str, password: &Secret) -> Result<(), ActError> {
    let mut wrong: Vec<_> = check_name(name, "/name").into_iter().collect();
    wrong.extend(weakness(name, password));
    if wrong.is_empty() { Ok(()) } else { Err(ActError::Invalid(wrong)) }
}

/// Whether a password is good enough for the user of that name.
///
/// # Errors
/// It is too short or too easy to guess.
pub(super) fn check_password(name: &str, password: &Secret) -> Result<(), ActError> {
    weakness(name, password).map_or(Ok(()), |wrong| Err(ActError::Invalid(vec![wrong])))
}

fn weakness(name: &str, password: &Secret) -> Option<restic_manager_shared::wire::problem::FieldError> {
    let text = password.reveal();
    if text.chars().count() < MIN_PASSWORD || text.len() > 1000 {
        field("/password", format!("at least {MIN_PASSWORD} characters"))
    } else if COMMON.contains(&text.to_lowercase().as_str()) || text.to_lowercase().contains(&name.to_lowercase()) {
        field("/password", "too easy to guess: it is among the commonest, or holds the name")
    } else {
        None
    }
}

fn field(pointer: &str, detail: impl Into<String>) -> Option<restic_manager_shared::wire::problem::FieldError> {
    Some(restic_manager_shared::wire::problem::FieldError { pointer: pointer.into(), detail: detail.into() })
}

fn insert(
    conn: &mut Conn,
    actor: &Actor,
    name: &str,
    hash: String,
    role: Role,
    now: Timestamp,
) -> Result<UserId, ActError> {
    let id = UserId::new();
    let user = UserRecord {
        id,
        name: name.to_owned(),
        password_hash: hash,
        role,
        disabled: false,
        created_at: now,
        last_login_at: None,
    };
    users::insert(conn, &user).map_err(|e| match e {
        StoreError::Duplicate(_) => Refusal::NameTaken("user").into(),
        other => ActError::from(other),
    })?;
    audit::record(
        conn,
        actor,
        now,
        "user.add",
        &format!("user:{id}"),
        &serde_json::json!({"name": name, "role": role}),
    )?;
    settings::remove(conn, SETUP)?;
    Ok(id)
}

/// Adds a user.
///
/// # Errors
/// Wrong fields, or the name is taken.
pub async fn add(s: &Services, actor: &Actor, name: String, password: Secret, role: Role) -> Result<UserId, ActError> {
    check_new(&name, &password)?;
    let hash = s.gate.blocking(move || hash(&password)).await??;
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| insert(conn, &actor, &name, hash, role, now)).await
}

/// A new setup token, if there is nobody to sign in yet; to be printed to the log. An older one stops working.
///
/// # Errors
/// When the database fails.
pub async fn offer_setup(s: &Services) -> Result<Option<PlainToken>, ActError> {
    let token = PlainToken::new("rms_");
    let hash = token.hash();
    s.db.write(move |conn| {
        if users::count(conn)? > 0 {
            return Ok(None);
        }
        settings::set(conn, SETUP, hash.as_str())?;
        Ok(Some(token))
    })
    .await
}

/// Whether the first user is still to be made.
///
/// # Errors
/// When the database fails.
pub async fn setup_open(s: &Services) -> Result<bool, ActError> {
    s.db.read(|conn| Ok(users::count(conn)? == 0)).await
}

/// Makes the first administrator, with the token from the log.
///
/// # Errors
/// The token is wrong, somebody was faster, or fields are wrong.
pub async fn setup(s: &Services, token: &str, name: String, password: Secret, address: &str) -> Result<(), ActError> {
    s.gate.pass(format!("setup {address}"))?;
    check_new(&name, &password)?;
    let hash = s.gate.blocking(move || hash(&password)).await??;
    let (given, now) = (TokenHash::of(token), Timestamp::now());
    let actor = Actor { address: address.to_owned(), ..Actor::system("setup") };
    s.db.write(move |conn| {
        if users::count(conn)? > 0 {
            return Err(Refusal::SetupDone.into());
        }
        let kept = settings::get(conn, SETUP)?.unwrap_or_default();
        if !bool::from(subtle::ConstantTimeEq::ct_eq(kept.as_bytes(), given.as_str().as_bytes())) {
            return Err(Refusal::WrongSetupToken.into());
        }
        insert(conn, &actor, &name, hash, Role::Admin, now).map(drop)
    })
    .await
}

/// A new session, as the browser gets it.
#[derive(Debug)]
pub struct SignedIn {
    /// The cookie's value.
    pub cookie: PlainToken,
    /// How long the cookie lasts.
    pub lasts: Duration,
    /// Whether the cookie should outlive the browser window.
    pub stay: bool,
}

/// Where a sign-in comes from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// Network address.
    pub address: String,
    /// Browser.
    pub user_agent: String,
}

/// Signs a person in.
///
/// # Errors
/// Wrong name or password, or too many tries.
pub async fn login(
    s: &Services,
    name: String,
    password: Secret,
    stay: bool,
    origin: Origin,
) -> Result<SignedIn, ActError> {
    s.gate.pass(format!("user {}", name.to_lowercase()))?;
    s.gate.pass(format!("address {}", origin.address))?;
    let wanted = name.clone();
    let user = s.db.read(move |conn| Ok::<_, ActError>(users::by_name(conn, &wanted)?)).await?;
    let kept = user.as_ref().map_or_else(|| DECOY.to_owned(), |u| u.password_hash.clone());
    let fits = s
        .gate
        .blocking(move || Argon2::default().verify_password(password.reveal().as_bytes(), kept.as_str()).is_ok())
        .await?;
    let now = Timestamp::now();
    let Some(user) = user.filter(|u| fits && !u.disabled) else {
        let actor = Actor { address: origin.address, ..Actor::system("login") };
        s.db.write(move |conn| {
            let subject = format!("user:{}", name.chars().take(100).collect::<String>());
            Ok::<_, ActError>(audit::record(conn, &actor, now, "login.refused", &subject, &serde_json::json!({}))?)
        })
        .await?;
        return Err(Refusal::WrongLogin.into());
    };
    start_session(s, user, stay, origin, now).await
}

/// Checks that the person of this session knows their own password: asked for once more before what must not be done from a browser that was
/// left open.
///
/// # Errors
/// A field error if it is another password, or too many tries.
pub async fn prove(s: &Services, actor: &Actor, password: Secret) -> Result<(), ActError> {
    s.gate.pass(format!("user {}", actor.name.to_lowercase()))?;
    let name = actor.name.clone();
    let user = s.db.read(move |conn| Ok::<_, ActError>(users::by_name(conn, &name)?)).await?;
    let kept = user.map_or_else(|| DECOY.to_owned(), |u| u.password_hash);
    let verify = move || Argon2::default().verify_password(password.reveal().as_bytes(), kept.as_str()).is_ok();
    if s.gate.blocking(verify).await? {
        return Ok(());
    }
    Err(ActError::field("/password", "is not your password"))
}

async fn start_session(
    s: &Services,
    user: UserRecord,
    stay: bool,
    origin: Origin,
    now: Timestamp,
) -> Result<SignedIn, ActError> {
    let cookie = PlainToken::new("rmc_");
    let lasts = if stay { LONG } else { SHORT };
    let session = SessionRecord {
        id: SessionId::new(),
        token_hash: cookie.hash().as_str().to_owned(),
        user_id: user.id,
        created_at: now,
        expires_at: now + lasts,
        address: origin.address.clone(),
        user_agent: origin.user_agent.chars().take(300).collect(),
    };
    let actor =
        Actor { who: Who::User(user.id, session.id), name: user.name, role: user.role, address: origin.address };
    s.db.write(move |conn| {
        users::insert_session(conn, &session)?;
        let subject = format!("user:{}", session.user_id);
        Ok::<_, ActError>(audit::record(conn, &actor, now, "login", &subject, &serde_json::json!({}))?)
    })
    .await?;
    Ok(SignedIn { cookie, lasts, stay })
}

/// Who a session cookie belongs to.
///
/// # Errors
/// When the database fails.
pub async fn by_cookie(s: &Services, cookie: &str, address: String) -> Result<Option<Actor>, ActError> {
    let (hash, now) = (TokenHash::of(cookie), Timestamp::now());
    let found = s.db.read(move |conn| Ok::<_, ActError>(users::by_session(conn, hash.as_str(), now)?)).await?;
    Ok(found.map(|(id, user)| Actor { who: Who::User(user.id, id), name: user.name, role: user.role, address }))
}

/// Signs a person out.
///
/// # Errors
/// When the database fails.
pub async fn logout(s: &Services, actor: &Actor) -> Result<(), ActError> {
    let Who::User(user, session) = actor.who else { return Ok(()) };
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        users::end_session(conn, session)?;
        Ok(audit::record(conn, &actor, now, "logout", &format!("user:{user}"), &serde_json::json!({}))?)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_is_long_and_not_common() {
        for (password, fine) in [
            ("correct horse", true),
            ("short", false),
            ("password123", false),
            ("PASSWORD123", false),
            ("xx-anna-xx-long", false),
        ] {
            assert_eq!(check_new("anna", &Secret::new(password)).is_ok(), fine, "{password}");
        }
    }

    #[test]
    fn the_decoy_is_a_real_hash() {
        assert!(argon2::PasswordHash::new(DECOY).is_ok());
    }
}
