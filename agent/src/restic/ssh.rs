//! What ssh says of a server before restic asks it. restic hands on ssh's words only if it happens to read them before it ends: in one run
//! of five a refused key was told as "unexpected EOF", which could be anything.

use super::env::Variables;
use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use url::Url;

/// By then ssh has an answer, or restic and its watchdog find out what the matter is.
const PATIENCE: Duration = Duration::from_secs(30);
/// What ssh ends with when it could not connect or was not let in; any other status is the far side's.
const NOT_CONNECTED: i32 = 255;

/// A server as an `sftp:` address names it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Reads restic's two forms, `sftp://user@host:port/folder` and `sftp:user@host:folder`. A name that ssh would take for an option is none.
fn server(address: &str) -> Option<Server> {
    let rest = address.strip_prefix("sftp:")?;
    let server = if rest.starts_with("//") {
        let url = Url::parse(address).ok()?;
        // ssh wants an IPv6 address without its brackets.
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
        let user = (!url.username().is_empty()).then(|| url.username().to_owned());
        Server { user, host, port: url.port() }
    } else {
        let (place, _) = rest.split_once(':')?;
        let (user, host) = place.rsplit_once('@').map_or((None, place), |(user, host)| (Some(user.to_owned()), host));
        Server { user, host: host.to_owned(), port: None }
    };
    let is_option = |text: &str| text.is_empty() || text.starts_with('-');
    (!is_option(&server.host) && !server.user.as_deref().is_some_and(is_option)).then_some(server)
}

/// The arguments that restic gives ssh too.
fn arguments(server: Server) -> Vec<OsString> {
    let mut args = vec![OsString::from(server.host)];
    if let Some(port) = server.port {
        args.extend(["-p".into(), port.to_string().into()]);
    }
    if let Some(user) = server.user {
        args.extend(["-l".into(), user.into()]);
    }
    args.extend(["-s".into(), "sftp".into()]);
    args
}

/// Why ssh cannot open a session with the address's server, in its own words; none if it can, if it cannot be told, or if the address is
/// no sftp address.
pub async fn refuses(address: &str, vars: &Variables) -> Option<String> {
    let args = arguments(server(address)?);
    let mut ssh = Command::new("ssh");
    // Nothing comes in, so that a session ends as soon as it has begun.
    ssh.args(args).env_clear().envs(vars).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, ssh.output()).await.ok()?.ok()?;
    if ended.status.code() != Some(NOT_CONNECTED) {
        return None;
    }
    let said = String::from_utf8_lossy(&ended.stderr);
    let lines: Vec<String> =
        said.lines().map(str::trim).filter(|l| !l.is_empty()).map(|l| format!("ssh: {l}")).collect();
    Some(if lines.is_empty() { "ssh cannot connect and does not say why".into() } else { lines.join("\n") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_what_ssh_is_given() {
        for (address, want) in [
            ("sftp://root@127.0.0.1:22/srv/r", Some("127.0.0.1 -p 22 -l root -s sftp")),
            ("sftp://nas.example.org//srv/r", Some("nas.example.org -s sftp")),
            ("sftp://u@[::1]:2222/r", Some("::1 -p 2222 -l u -s sftp")),
            ("sftp:u@nas:/srv/r", Some("nas -l u -s sftp")),
            ("sftp:u@corp@nas:r", Some("nas -l u@corp -s sftp")),
            ("sftp:nas:r", Some("nas -s sftp")),
            ("sftp:-oProxyCommand=id:r", None),
            ("sftp:-oProxyCommand=id@nas:r", None),
            ("sftp:nas", None),
            ("rest:http://nas/", None),
            ("/srv/r", None),
        ] {
            let args = server(address).map(|s| arguments(s).join(" ".as_ref()));
            assert_eq!(args, want.map(OsString::from), "{address}");
        }
    }
}
