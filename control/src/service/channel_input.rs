//! What a person or script says a channel is, read against what is kept of it: which secrets stay, and what is wrong.

use super::ActError;
use crate::courier::Secrets;
use crate::domain::channel::{
    Preset, Rules, Security, Settings, Smtp, Webhook, check_channel_name, check_hook, check_rules, check_secret,
    check_smtp, check_summary,
};
use crate::domain::summary::SummaryPlan;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::problem::FieldError;
use serde::Deserialize;

/// A mail server, as a person or script names it.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SmtpInput {
    /// The server's name.
    #[schema(min_length = 1, max_length = 253)]
    pub host: String,
    /// Its port.
    #[serde(default = "submission")]
    #[schema(minimum = 1)]
    pub port: u16,
    /// How the way there is protected.
    #[serde(default = "starttls")]
    pub security: Security,
    /// Who signs in there; left out if nobody has to.
    #[serde(default)]
    pub username: Option<String>,
    /// The password that goes with it. Left out in an update, the one that is kept stays.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The address that mail comes from.
    #[schema(max_length = 254)]
    pub from: String,
    /// Whom it goes to.
    #[schema(min_items = 1, max_items = 50)]
    pub to: Vec<String>,
}

const fn submission() -> u16 {
    587
}

const fn starttls() -> Security {
    Security::StartTls
}

/// A webhook, as a person or script names it.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookInput {
    /// What is there.
    pub preset: Preset,
    /// Its address. Left out in an update, the one that is kept stays. PagerDuty has one of its own.
    #[serde(default)]
    pub url: Option<Secret>,
    /// `generic`: the key that messages are signed with; `ntfy` and `gotify`: the token; `pagerduty`: the routing key. Left out in an update,
    /// the one that is kept stays; an empty text takes it away.
    #[serde(default)]
    pub secret: Option<Secret>,
}

/// A channel, as a person or script describes it. It has either `smtp` or `webhook`.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelInput {
    /// Its name.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// Whether anything is sent there.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Mail.
    #[serde(default)]
    pub smtp: Option<SmtpInput>,
    /// An address on the web.
    #[serde(default)]
    pub webhook: Option<WebhookInput>,
    /// Of which alerts it tells, and when.
    #[serde(default)]
    pub rules: Rules,
    /// When it is told once a day how all hosts are, on quiet days too; left out, never.
    #[serde(default)]
    pub summary: Option<SummaryPlan>,
}

const fn yes() -> bool {
    true
}

fn wrong(pointer: &str, detail: &str) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// A secret that was typed, the one that is kept, or none. A kept one goes to no other address than before.
fn secret(
    typed: Option<&Secret>,
    kept: Option<&Secret>,
    is_same_peer: bool,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) -> Option<Secret> {
    match (typed, kept) {
        (Some(typed), _) => {
            errors.extend(check_secret(typed.reveal(), pointer));
            (!typed.is_empty()).then(|| typed.clone())
        }
        (None, Some(kept)) if is_same_peer => Some(kept.clone()),
        (None, Some(_)) => {
            errors.push(wrong(pointer, "has to be given again: it was for another address"));
            None
        }
        (None, None) => None,
    }
}

/// Where the channel leads so far, and what it keeps secret.
pub(super) type Kept<'a> = Option<(&'a Settings, &'a Secrets)>;

fn smtp(input: &SmtpInput, kept: Kept<'_>, errors: &mut Vec<FieldError>) -> (Settings, Secrets) {
    let settings = Settings::Smtp(Smtp {
        host: input.host.clone(),
        port: input.port,
        security: input.security,
        username: input.username.clone(),
        from: input.from.clone(),
        to: input.to.clone(),
    });
    if let Settings::Smtp(smtp) = &settings {
        errors.extend(check_smtp(smtp));
    }
    let same = kept.is_some_and(|(before, _)| before.peer() == settings.peer());
    let before = kept.and_then(|(_, secrets)| secrets.secret.as_ref()).filter(|_| input.username.is_some());
    let password = secret(input.password.as_ref(), before, same, "/smtp/password", errors);
    if input.username.is_some() != password.is_some() && !errors.iter().any(|e| e.pointer == "/smtp/password") {
        errors.push(wrong("/smtp/password", "user and password belong together"));
    }
    (settings, Secrets { url: None, secret: password })
}

fn webhook(input: &WebhookInput, kept: Kept<'_>, errors: &mut Vec<FieldError>) -> (Settings, Secrets) {
    let preset = input.preset;
    let before = kept.filter(|(settings, _)| matches!(settings, Settings::Webhook(w) if w.preset == preset));
    let typed = input.url.as_ref().filter(|url| !url.is_empty());
    let url = typed.cloned().or_else(|| before.and_then(|(_, secrets)| secrets.url.clone()));
    let origin = match (&url, preset) {
        (Some(url), _) => check_hook(preset, url.reveal()).map_err(|e| errors.push(e)).unwrap_or_default(),
        (None, Preset::PagerDuty) => "https://events.pagerduty.com".to_owned(),
        (None, _) => {
            errors.push(wrong("/webhook/url", "is needed"));
            String::new()
        }
    };
    let settings = Settings::Webhook(Webhook { preset, origin });
    let same = kept.is_some_and(|(before, _)| before.peer() == settings.peer());
    let before = kept.and_then(|(_, secrets)| secrets.secret.as_ref()).filter(|_| takes_secret(preset));
    let token = secret(input.secret.as_ref(), before, same, "/webhook/secret", errors);
    match (&token, preset) {
        (None, Preset::Gotify | Preset::PagerDuty) if !errors.iter().any(|e| e.pointer == "/webhook/secret") => {
            errors.push(wrong("/webhook/secret", "is needed"));
        }
        (Some(_), _) if !takes_secret(preset) => {
            errors.push(wrong("/webhook/secret", "this kind takes none: its address is the secret"));
        }
        _ => {}
    }
    (settings, Secrets { url, secret: token })
}

/// Whether a receiver of this kind asks for more than its address.
#[must_use]
pub const fn takes_secret(preset: Preset) -> bool {
    match preset {
        Preset::Generic | Preset::Ntfy | Preset::Gotify | Preset::PagerDuty => true,
        Preset::Slack | Preset::Discord | Preset::Teams => false,
    }
}

/// What a channel is to be.
///
/// # Errors
/// When fields are wrong.
pub(super) fn read(input: &ChannelInput, kept: Kept<'_>) -> Result<(Settings, Secrets), ActError> {
    let mut errors: Vec<FieldError> = check_channel_name(&input.name).into_iter().collect();
    errors.extend(check_rules(&input.rules));
    let read = match (&input.smtp, &input.webhook) {
        (Some(input), None) => Some(smtp(input, kept, &mut errors)),
        (None, Some(input)) => Some(webhook(input, kept, &mut errors)),
        (Some(_), Some(_)) | (None, None) => {
            errors.push(wrong("/smtp", "a channel has either smtp or webhook"));
            None
        }
    };
    if let Some((settings, _)) = &read {
        errors.extend(check_summary(settings, &input.rules, input.summary.as_ref()));
    }
    match read {
        Some(read) if errors.is_empty() => Ok(read),
        _ => Err(ActError::Invalid(errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(preset: Preset, url: Option<&str>, secret: Option<&str>) -> ChannelInput {
        let webhook = WebhookInput { preset, url: url.map(Secret::new), secret: secret.map(Secret::new) };
        ChannelInput {
            name: "a".into(),
            enabled: true,
            smtp: None,
            webhook: Some(webhook),
            rules: Rules::default(),
            summary: None,
        }
    }

    fn mail(host: &str, username: Option<&str>, password: Option<&str>) -> ChannelInput {
        let smtp = SmtpInput {
            host: host.into(),
            port: 587,
            security: Security::StartTls,
            username: username.map(Into::into),
            password: password.map(Secret::new),
            from: "backup@example.org".into(),
            to: vec!["ops@example.org".into()],
        };
        ChannelInput {
            name: "a".into(),
            enabled: true,
            smtp: Some(smtp),
            webhook: None,
            rules: Rules::default(),
            summary: None,
        }
    }

    fn pointers(input: &ChannelInput, kept: Kept<'_>) -> Vec<String> {
        match read(input, kept) {
            Ok(_) => vec![],
            Err(ActError::Invalid(errors)) => errors.into_iter().map(|e| e.pointer).collect(),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        let both = ChannelInput { smtp: mail("m", None, None).smtp, ..hook(Preset::Slack, Some("https://x/"), None) };
        let neither = ChannelInput { webhook: None, ..hook(Preset::Slack, None, None) };
        for (input, wrong) in [
            (hook(Preset::Slack, Some("https://x/"), None), vec![]),
            (hook(Preset::Slack, Some("https://x/"), Some("s")), vec!["/webhook/secret"]),
            (hook(Preset::Slack, None, None), vec!["/webhook/url"]),
            (hook(Preset::PagerDuty, None, Some("key")), vec![]),
            (hook(Preset::PagerDuty, None, None), vec!["/webhook/secret"]),
            (hook(Preset::Gotify, Some("https://g/"), Some("")), vec!["/webhook/secret"]),
            (hook(Preset::Generic, Some("https://x/"), Some("a\0")), vec!["/webhook/secret"]),
            (mail("m", None, None), vec![]),
            (mail("m", Some("u"), Some("p")), vec![]),
            (mail("m", Some("u"), None), vec!["/smtp/password"]),
            (mail("m", None, Some("p")), vec!["/smtp/password"]),
            (both, vec!["/smtp"]),
            (neither, vec!["/smtp"]),
        ] {
            assert_eq!(pointers(&input, None), wrong, "{input:?}");
        }
    }

    #[test]
    fn a_summary_goes_where_it_can_and_a_channel_says_something() {
        let at = |at: &str| Some(SummaryPlan { at: at.into(), timezone: "UTC".into() });
        let quiet = Rules { alerts: false, ..Rules::default() };
        let slack = || hook(Preset::Slack, Some("https://x/"), None);
        let pager = hook(Preset::PagerDuty, None, Some("key"));
        for (input, wrong) in [
            (ChannelInput { summary: at("08:00"), ..slack() }, vec![]),
            (ChannelInput { summary: at("8"), ..slack() }, vec!["/summary/at"]),
            (ChannelInput { summary: at("08:00"), rules: quiet.clone(), ..slack() }, vec![]),
            (ChannelInput { rules: quiet, ..slack() }, vec!["/rules/alerts"]),
            (ChannelInput { summary: at("08:00"), ..pager }, vec!["/summary"]),
        ] {
            assert_eq!(pointers(&input, None), wrong, "{input:?}");
        }
    }

    #[test]
    fn a_kept_secret_stays_with_its_address() {
        let (settings, secrets) = read(&mail("m", Some("u"), Some("p")), None).expect("fine");
        let kept = Some((&settings, &secrets));
        assert_eq!(read(&mail("m", Some("u2"), None), kept).expect("fine").1, secrets);
        assert_eq!(read(&mail("m", None, None), kept).expect("fine").1, Secrets::default());
        assert_eq!(pointers(&mail("elsewhere", Some("u"), None), kept), ["/smtp/password"]);
        let (settings, secrets) = read(&hook(Preset::Generic, Some("https://x/in"), Some("s")), None).expect("fine");
        let kept = Some((&settings, &secrets));
        assert_eq!(read(&hook(Preset::Generic, None, None), kept).expect("fine").1, secrets);
        assert_eq!(pointers(&hook(Preset::Generic, Some("https://y/in"), None), kept), ["/webhook/secret"]);
        assert_eq!(pointers(&hook(Preset::Slack, None, None), kept), ["/webhook/url"], "another kind, another address");
        let cleared = read(&hook(Preset::Generic, None, Some("")), kept).expect("fine").1;
        assert_eq!((cleared.url.is_some(), cleared.secret), (true, None));
    }
}
