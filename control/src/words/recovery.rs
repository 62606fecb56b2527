//! The recovery kit: what a person needs to restore with nothing but restic, when the control plane is gone. A text that they can read,
//! whose blocks of commands a shell can run as they stand.

use restic_manager_shared::restic::address::Location;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

/// One way into one restic repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What the repository is called here.
    pub name: String,
    /// Whose it is, where each host has its own.
    pub of_host: Option<String>,
    /// Hosts that back up into it, by the names that restic has of them.
    pub hosts: Vec<String>,
    /// Its address, without credentials.
    pub url: String,
    /// Its password.
    pub password: Secret,
    /// User and password of a rest-server.
    pub http: Option<(String, Secret)>,
    /// What the storage takes from the environment.
    pub env: BTreeMap<String, Secret>,
    /// Certificate authorities of the storage.
    pub ca_pem: Option<String>,
}

/// Writes the kit. The blocks of each way stand for themselves: a shell that runs one way's blocks in order ends with the newest snapshot of each
/// of its hosts in a folder `restored`, whichever other ways' blocks it ran before.
///
/// # Errors
/// Never, but for what a formatter may answer.
pub fn kit(ways: &[Way], made: Timestamp) -> Result<String, fmt::Error> {
    let mut text = String::new();
    write!(
        text,
        "# Recovery kit\n\nMade by restic-manager at {made}. **Who has this text can read, and perhaps delete, the backups**: keep it away from the \
         machines that it is about, on paper or on a medium in a safe.\n\nIt is good until a password or an address changes. Nothing but restic \
         is needed to use it.\n\n## 1. Get restic\n\nVersion 0.14 or newer: `apt install restic`, `dnf install restic`, `brew install restic`, \
         `winget install restic.restic`, or a single file from https://github.com/restic/restic/releases. The commands below are for a shell on \
         Linux or macOS; in PowerShell write `$env:NAME = 'value'` for `export NAME='value'`, `Remove-Item env:NAME` for `unset NAME`, and `''` for a `'` in a value.\n"
    )?;
    let names: BTreeSet<&str> = ways.iter().flat_map(|way| way.env.keys()).map(String::as_str).collect();
    for (n, way) in ways.iter().enumerate() {
        section(&mut text, n + 2, way, &names)?;
    }
    if ways.is_empty() {
        text.push_str("\nThere is no repository yet that a host has a credential for.\n");
    }
    Ok(text)
}

fn section(text: &mut String, n: usize, way: &Way, names: &BTreeSet<&str>) -> fmt::Result {
    write!(text, "\n## {n}. Repository {}", way.name)?;
    if let Some(host) = &way.of_host {
        write!(text, ", the one of {host}")?;
    }
    text.push_str("\n\nSay where it is and how it opens:\n\n");
    block(text, &opening(way, names))?;
    text.push_str("\nSee what is there:\n\n");
    block(text, &[format!("{} snapshots", restic(way))])?;
    text.push_str("\nGet the newest snapshot of a host back, into the folder `restored`:\n\n");
    let hosts = way.hosts.iter();
    let commands: Vec<String> = hosts
        .map(|host| {
            let host = quoted(host);
            format!("{} restore latest --host {host} --target restored/{host}", restic(way))
        })
        .collect();
    block(text, &commands)?;
    text.push_str(
        "\nFor one file only add `--include /path/of/the/file`; for an older state write a snapshot's id instead of `latest`. If restic \
         says that the repository is locked, and nothing works on it any more: `restic unlock`.\n",
    );
    remark(text, way)
}

/// What is on the hosts and not here.
fn remark(text: &mut String, way: &Way) -> fmt::Result {
    let needs = match Location::parse(&way.url).backend() {
        "sftp" => "an SSH key that the storage takes; those of the hosts are on the hosts",
        "rclone" => "rclone, and its configuration, which is on the hosts",
        "local" => "the disk that holds this folder",
        _ => return Ok(()),
    };
    writeln!(text, "\nBesides this text you need {needs}.")
}

/// `restic`, with what must stand behind it each time.
fn restic(way: &Way) -> &'static str {
    // The variable for it is newer than the oldest restic that this is for.
    if way.ca_pem.is_some() { "restic --cacert ca.pem" } else { "restic" }
}

/// What opens the repository. Names that only other ways of the kit set are taken away first: a shell that ran their blocks would hand their
/// storage's keys to this one.
fn opening(way: &Way, names: &BTreeSet<&str>) -> Vec<String> {
    let location = Location::parse(&way.url);
    // In the address, because old versions know no variables for them.
    let address = match &way.http {
        Some((user, password)) => location.with_credentials(user, password.reveal()),
        None => location.plain(),
    };
    let of_others = names.iter().filter(|name| !way.env.contains_key(**name));
    let mut lines: Vec<String> = of_others.map(|name| format!("unset {name}")).collect();
    let mut say = |name: &str, value: &str| lines.push(format!("export {name}={}", quoted(value)));
    say("RESTIC_REPOSITORY", &address);
    say("RESTIC_PASSWORD", way.password.reveal());
    for (name, value) in &way.env {
        say(name, value.reveal());
    }
    if let Some(pem) = &way.ca_pem {
        lines.push(format!("printf '%s\\n' {} > ca.pem", quoted(pem.trim_end())));
    }
    lines
}

fn block(text: &mut String, lines: &[String]) -> fmt::Result {
    writeln!(text, "```sh")?;
    lines.iter().try_for_each(|line| writeln!(text, "{line}"))?;
    writeln!(text, "```")
}

/// A text as one word of a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way() -> Way {
        Way {
            name: "Vault".into(),
            of_host: None,
            hosts: vec!["web-01".into(), "o'neil".into()],
            url: "rest:https://backup.example.org/web/".into(),
            password: Secret::new("it's $HOME\\ `x`"),
            http: Some(("al".into(), Secret::new("p/%"))),
            env: BTreeMap::new(),
            ca_pem: None,
        }
    }

    /// The lines that a shell would run.
    fn commands(text: &str) -> Vec<&str> {
        let mut inside = false;
        let is_command = |line: &&str| {
            let fence = line.starts_with("```");
            inside = inside != fence;
            inside && !fence
        };
        text.lines().filter(is_command).collect()
    }

    #[test]
    fn its_commands_open_the_repository_and_get_each_host_back() {
        let text = kit(&[way()], Timestamp::from_seconds(0)).expect("writes");
        assert_eq!(
            commands(&text),
            [
                "export RESTIC_REPOSITORY='rest:https://al:p%2F%25@backup.example.org/web/'",
                r"export RESTIC_PASSWORD='it'\''s $HOME\ `x`'",
                "restic snapshots",
                "restic restore latest --host 'web-01' --target restored/'web-01'",
                r"restic restore latest --host 'o'\''neil' --target restored/'o'\''neil'",
            ]
        );
    }

    /// What a shell has of a variable at the end of all blocks; nothing if it is not set.
    #[cfg(unix)]
    fn left_of(text: &str, name: &str) -> String {
        let steps: Vec<&str> = commands(text).into_iter().filter(|line| !line.starts_with("restic")).collect();
        let script = format!("{}\nprintf '%s' \"${{{name}-unset}}\"", steps.join("\n"));
        let out = std::process::Command::new("sh").args(["-euc", &script]).output().expect("a shell runs");
        assert!(out.status.success(), "{script}");
        String::from_utf8(out.stdout).expect("text")
    }

    #[cfg(unix)]
    #[test]
    fn one_shell_runs_all_blocks_and_no_repository_gets_the_keys_of_another() {
        let env = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), Secret::new(*v))).collect();
        let with = |pairs| Way { http: None, env: env(pairs), ..way() };
        let (one, two) =
            (with(&[("AWS_ACCESS_KEY_ID", "1"), ("AWS_SESSION_TOKEN", "s")]), with(&[("AWS_ACCESS_KEY_ID", "2")]));
        let text = |ways: &[Way]| kit(ways, Timestamp::from_seconds(0)).expect("writes");
        let (both, turned) = (text(&[one.clone(), two.clone()]), text(&[two, one]));
        assert_eq!(left_of(&both, "AWS_ACCESS_KEY_ID"), "2");
        assert_eq!(left_of(&both, "AWS_SESSION_TOKEN"), "unset");
        assert_eq!(left_of(&turned, "AWS_ACCESS_KEY_ID"), "1");
        assert_eq!(left_of(&turned, "AWS_SESSION_TOKEN"), "s");
        assert!(!text(&[way()]).contains("\nunset"), "nothing to take away");
    }

    #[test]
    fn what_a_storage_needs_is_there() {
        let env = [("AWS_ACCESS_KEY_ID".to_owned(), Secret::new("k"))].into();
        let s3 = Way { url: "s3:https://h/b".into(), http: None, env, ca_pem: Some("PEM\n".into()), ..way() };
        let sftp = Way { url: "sftp:u@h:/r".into(), http: None, of_host: Some("web-01".into()), ..way() };
        let text = kit(&[s3, sftp], Timestamp::from_seconds(0)).expect("writes");
        for said in [
            "export AWS_ACCESS_KEY_ID='k'",
            "printf '%s\\n' 'PEM' > ca.pem",
            "restic --cacert ca.pem snapshots",
            "## 3. Repository Vault, the one of web-01",
            "an SSH key",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
