//! What people and agents did, as the audit log tells it to people. The API gives the codes themselves.

/// What each action is called, those on the same kind of thing beside each other.
pub const ACTIONS: &[(&str, &str)] = &[
    ("login", "Signed in"),
    ("login.refused", "Was refused to sign in"),
    ("logout", "Signed out"),
    ("alert.acknowledge", "Acknowledged an alert"),
    ("alert.reopen", "Reopened an alert"),
    ("api_token.add", "Made an API token"),
    ("api_token.revoke", "Revoked an API token"),
    ("channel.add", "Added a channel"),
    ("channel.delete", "Deleted a channel"),
    ("channel.test", "Sent a test to a channel"),
    ("channel.update", "Changed a channel"),
    ("channel.summary", "Sent a summary to a channel"),
    ("credential.put", "Set a storage credential"),
    ("credential.remove", "Removed a storage credential"),
    ("enrollment_token.add", "Made an install command"),
    ("enrollment_token.revoke", "Revoked an install command"),
    ("host.add", "Added a host"),
    ("host.delete", "Removed a host"),
    ("host.enroll", "Connected its agent"),
    ("host.freeze", "Froze retention"),
    ("host.thaw", "Let retention go on"),
    ("host.pause", "Paused a host"),
    ("host.resume", "Resumed a host"),
    ("host.update", "Changed a host"),
    ("host.update_agent", "Asked an agent to update"),
    ("host.update_retry", "Let an agent try its update again"),
    ("job.cancel", "Cancelled a job"),
    ("job.run", "Started a job"),
    ("recovery_kit.make", "Made a recovery kit"),
    ("release.add", "Added an agent release"),
    ("release.file", "Fetched an agent release"),
    ("release.withdraw", "Withdrew an agent release"),
    ("repository.add", "Added a repository"),
    ("repository.delete", "Deleted a repository"),
    ("repository.maintain", "Started maintenance"),
    ("repository.plan", "Changed the maintenance plan"),
    ("repository.rotate_password", "Began to change a repository password"),
    ("repository.update", "Changed a repository"),
    ("rollout.start", "Began a roll-out"),
    ("rollout.pause", "Paused a roll-out"),
    ("rollout.resume", "Resumed a roll-out"),
    ("rollout.advance", "Moved a roll-out to its next stage"),
    ("rollout.roll_back", "Rolled a release back"),
    ("schedule.add", "Added a schedule"),
    ("schedule.delete", "Deleted a schedule"),
    ("schedule.pause", "Paused a schedule"),
    ("schedule.resume", "Resumed a schedule"),
    ("schedule.update", "Changed a schedule"),
    ("settings.update", "Changed the settings"),
    ("snapshots.vouch", "Vouched for snapshots"),
    ("state.import", "Took in the state of another server"),
    ("user.add", "Added a user"),
    ("user.delete", "Deleted a user"),
    ("user.sign_out", "Signed a user out everywhere"),
    ("user.update", "Changed a user"),
];

/// What an action is called; one that has no words here is shown by its code.
#[must_use]
pub fn action(code: &str) -> &str {
    ACTIONS.iter().find(|(known, _)| *known == code).map_or(code, |(_, said)| said)
}

/// The actions that are told with this word, in small letters.
#[must_use]
pub fn codes_with(word: &str) -> Vec<&'static str> {
    ACTIONS.iter().filter(|(_, said)| said.to_lowercase().contains(word)).map(|(code, _)| *code).collect()
}

/// Choices of many acts: their spelling in the address and in words.
pub const CHOICES: [(&str, &str); 3] = [("changes", "Changes"), ("restores", "Restores"), ("sign-ins", "Sign-ins")];

/// The kinds of things that acts are on, by the beginning of their code.
pub const KINDS: &[(&str, &str)] = &[
    ("alert", "Alerts"),
    ("api_token", "API tokens"),
    ("channel", "Channels"),
    ("credential", "Storage credentials"),
    ("enrollment_token", "Install commands"),
    ("host", "Hosts"),
    ("job", "Jobs"),
    ("recovery_kit", "Recovery kits"),
    ("release", "Agent releases"),
    ("repository", "Repositories"),
    ("rollout", "Roll-outs"),
    ("schedule", "Schedules"),
    ("settings", "Settings"),
    ("snapshots", "Snapshots"),
    ("state", "State of the server"),
    ("user", "Users"),
];

/// A choice of acts in words: a choice of many, a kind, or one act.
#[must_use]
pub fn choice(code: &str) -> &str {
    CHOICES.iter().chain(KINDS).find(|(known, _)| *known == code).map_or_else(|| action(code), |(_, said)| said)
}

/// What kind of thing an entry is about that has no name of its own here, and where such things are.
#[must_use]
pub fn thing(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "api_token" => ("API token", "/settings/tokens"),
        "channel" => ("Channel", "/alerts/channels"),
        "alert" => ("Alert", "/alerts?show=all"),
        "release" => ("Agent release", "/settings/releases"),
        "rollout" => ("Roll-out", "/settings/releases"),
        "settings" => ("Settings", "/settings/general"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_told_in_words_and_an_unknown_one_by_its_code() {
        for (code, said) in [("login", "Signed in"), ("host.freeze", "Froze retention"), ("x.y", "x.y")] {
            assert_eq!(action(code), said);
        }
    }

    #[test]
    fn each_act_can_be_chosen_and_is_found_by_its_words() {
        for (code, said) in ACTIONS {
            let kind = code.split('.').next().unwrap_or_default();
            let listed = KINDS.iter().any(|(known, _)| *known == kind);
            assert!(listed || crate::domain::audit::SIGN_INS.contains(code), "{code} is under no kind");
            assert!(crate::domain::audit::Acts::of(code).is_some(), "{code}");
            assert!(codes_with(&said.to_lowercase()).contains(code), "{code}");
        }
        for (code, said) in [("changes", "Changes"), ("host", "Hosts"), ("host.freeze", "Froze retention"), ("x", "x")]
        {
            assert_eq!(choice(code), said);
        }
        assert!(codes_with("nothing of this").is_empty());
    }
}
