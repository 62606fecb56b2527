//! The form of a channel: one for each kind of receiver, so that it asks for nothing that the kind does not need. Secrets go in and are not
//! shown again.

use super::channels::preset_icon;
use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, commas, lines, number, typed, typed_secret};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::channel::{Preset, Rules, Security};
use crate::domain::summary::SummaryPlan;
use crate::http::guard::{Admin, Guarded, SafeForm};
use crate::http::problem::ApiError;
use crate::service::channel_input::{ChannelInput, SmtpInput, WebhookInput, takes_secret};
use crate::service::channels::ChannelView;
use crate::service::{Services, channels};
use crate::words::channel as words;
use crate::words::viewer;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::ChannelId;
use restic_manager_shared::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The word of mail among the kinds.
const MAIL: &str = "mail";
/// Where errors of services find their fields.
const FIELDS: [&str; 16] = [
    "name",
    "host",
    "port",
    "username",
    "password",
    "from",
    "to",
    "url",
    "secret",
    "tags",
    "remind_hours",
    "group_seconds",
    "kinds",
    "alerts",
    "at",
    "timezone",
];
/// The level of a channel that tells of no alerts.
const NO_ALERTS: &str = "none";
/// What a tick of a condition is called before its word.
const TICK: &str = "on_";

/// A channel to be, or to be changed.
#[derive(Debug, Serialize)]
pub struct ChannelFormPage {
    /// The channel that is changed; none for a new one.
    pub id: Option<String>,
    /// What it is called so far.
    pub title: String,
    /// The kinds to choose from.
    pub kinds: Vec<KindChoice>,
    /// The chosen one.
    pub kind: String,
    /// What the kind is called.
    pub kind_name: &'static str,
    /// What its address looks like.
    pub example: &'static str,
    /// What its secret is called; empty if it has none.
    pub secret_name: &'static str,
    /// Whether it cannot do without.
    pub secret_needed: bool,
    /// Whether it can have a daily summary.
    pub sums_up: bool,
    /// The time zones to choose from.
    pub zones: Vec<&'static str>,
    /// Where it leads so far, if it has an address that is kept.
    pub origin: String,
    /// The conditions to choose from.
    pub conditions: Vec<Condition>,
    /// What was typed.
    pub form: Typed,
    /// What is wrong with it.
    pub errors: FormErrors,
}

impl Page for ChannelFormPage {
    const TEMPLATE: &'static str = "pages/channel.html";
    const NAV: &'static str = "alerts";
}

/// A kind of receiver to choose.
#[derive(Debug, Serialize)]
pub struct KindChoice {
    /// Its word.
    pub word: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The icon's name.
    pub icon: &'static str,
}

/// A condition to choose.
#[derive(Debug, Serialize)]
pub struct Condition {
    /// The field's name.
    pub field: String,
    /// The condition in words.
    pub title: &'static str,
    /// Whether it is ticked.
    pub ticked: bool,
}

/// What the form sends.
#[derive(Debug, Deserialize)]
pub struct ChannelForm {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    url: Secret,
    #[serde(default)]
    secret: Secret,
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

/// What is shown again of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Typed {
    /// Name.
    pub name: String,
    /// Whether it sends.
    pub enabled: bool,
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: String,
    /// How the way there is protected.
    pub security: String,
    /// Who signs in.
    pub username: String,
    /// Where mail comes from.
    pub from: String,
    /// Whom it goes to, one in each line.
    pub to: String,
    /// The mildest severity, or that it tells of no alerts.
    pub min_severity: String,
    /// Tags between commas.
    pub tags: String,
    /// Whether the end is told.
    pub send_resolved: bool,
    /// Hours between reminders.
    pub remind_hours: String,
    /// Seconds to wait for more.
    pub group_seconds: String,
    /// The time of day of its summary; empty for none.
    pub at: String,
    /// The zone of that time.
    pub timezone: String,
}

impl Typed {
    /// With the usual in the place of what another kind's form does not ask for.
    fn filled(self) -> Self {
        let usual = blank();
        let or = |typed: String, usual: String| if typed.is_empty() { usual } else { typed };
        Self {
            port: or(self.port, usual.port),
            security: or(self.security, usual.security),
            min_severity: or(self.min_severity, usual.min_severity),
            group_seconds: or(self.group_seconds, usual.group_seconds),
            timezone: or(self.timezone, usual.timezone),
            ..self
        }
    }
}

fn preset(kind: &str) -> Option<Preset> {
    kind.parse().ok()
}

fn kinds() -> Vec<KindChoice> {
    let mail = KindChoice { word: MAIL, name: "Mail", icon: "mail" };
    let hook = |p: &Preset| KindChoice { word: p.as_str(), name: words::preset(*p), icon: preset_icon(*p) };
    std::iter::once(mail).chain(Preset::ALL.iter().map(hook)).collect()
}

const fn example(preset: Preset) -> &'static str {
    match preset {
        Preset::Generic => "https://example.org/hooks/restic",
        Preset::Slack => "https://hooks.slack.com/services/T…/B…/…",
        Preset::Discord => "https://discord.com/api/webhooks/…",
        Preset::Ntfy => "https://ntfy.sh/my-topic",
        Preset::Gotify => "https://gotify.example.org",
        Preset::Teams => "https://….logic.azure.com/workflows/…",
        Preset::PagerDuty => "https://events.pagerduty.com/v2/enqueue",
    }
}

impl ChannelForm {
    fn text(&self, field: &str) -> &str {
        self.rest.get(field).map_or("", String::as_str)
    }

    fn ticked(&self) -> Vec<AlertKind> {
        let is_ticked = |kind: &&AlertKind| self.rest.contains_key(&format!("{TICK}{kind}"));
        AlertKind::ALL.iter().filter(is_ticked).copied().collect()
    }

    fn rules(&self, wrong: &mut FormErrors) -> Rules {
        let kinds = self.ticked();
        let narrow = |n: Option<u32>, field: &str, wrong: &mut FormErrors| {
            let narrowed = n.map(|n| u16::try_from(n).map_err(|_| wrong.add(field, wrong::TOO_MUCH)));
            narrowed.and_then(Result::ok)
        };
        let remind = number(self.text("remind_hours"), "remind_hours", wrong);
        let group = number(self.text("group_seconds"), "group_seconds", wrong);
        Rules {
            alerts: self.text("min_severity") != NO_ALERTS,
            min_severity: self.text("min_severity").parse().unwrap_or(Severity::Warning),
            kinds: if kinds.len() == AlertKind::ALL.len() { vec![] } else { kinds },
            tags: commas(self.text("tags")),
            send_resolved: self.rest.contains_key("send_resolved"),
            remind_hours: narrow(remind, "remind_hours", wrong),
            group_seconds: narrow(group, "group_seconds", wrong).unwrap_or(0),
        }
    }

    /// A time alone means the zone of who looks, as the form shows it.
    fn summary(&self) -> Option<SummaryPlan> {
        let at = typed(self.text("at"))?;
        let timezone = typed(self.text("timezone")).unwrap_or_else(|| viewer().name().to_owned());
        Some(SummaryPlan { at, timezone })
    }

    fn smtp(&self, wrong: &mut FormErrors) -> SmtpInput {
        let port = number(self.text("port"), "port", wrong).unwrap_or(587);
        SmtpInput {
            host: self.text("host").trim().to_owned(),
            port: u16::try_from(port).unwrap_or(0),
            security: self.text("security").parse().unwrap_or(Security::StartTls),
            username: typed(self.text("username")),
            password: typed_secret(&self.password),
            from: self.text("from").trim().to_owned(),
            to: lines(self.text("to")).iter().flat_map(|line| commas(line)).collect(),
        }
    }

    fn input(&self, wrong: &mut FormErrors) -> ChannelInput {
        let hook = preset(&self.kind).map(|preset| WebhookInput {
            preset,
            url: typed_secret(&Secret::new(self.url.reveal().trim())),
            secret: if self.rest.contains_key("forget_secret") {
                Some(Secret::default())
            } else {
                typed_secret(&self.secret)
            },
        });
        ChannelInput {
            name: self.text("name").trim().to_owned(),
            enabled: self.rest.contains_key("enabled"),
            smtp: if hook.is_none() { Some(self.smtp(wrong)) } else { None },
            webhook: hook,
            rules: self.rules(wrong),
            summary: self.summary(),
        }
    }

    fn typed(&self) -> Typed {
        let text = |field| self.text(field).to_owned();
        Typed {
            name: text("name"),
            enabled: self.rest.contains_key("enabled"),
            host: text("host"),
            port: text("port"),
            security: text("security"),
            username: text("username"),
            from: text("from"),
            to: text("to"),
            min_severity: text("min_severity"),
            tags: text("tags"),
            send_resolved: self.rest.contains_key("send_resolved"),
            remind_hours: text("remind_hours"),
            group_seconds: text("group_seconds"),
            at: text("at"),
            timezone: text("timezone"),
        }
    }
}

fn blank() -> Typed {
    let rules = Rules::default();
    Typed {
        enabled: true,
        port: "587".into(),
        security: Security::StartTls.to_string(),
        min_severity: rules.min_severity.to_string(),
        send_resolved: rules.send_resolved,
        group_seconds: rules.group_seconds.to_string(),
        timezone: viewer().name().to_owned(),
        ..Typed::default()
    }
}

fn kept(channel: &ChannelView) -> Typed {
    let rules = &channel.rules;
    let mut typed = Typed {
        name: channel.name.clone(),
        enabled: channel.enabled,
        min_severity: if rules.alerts { rules.min_severity.to_string() } else { NO_ALERTS.into() },
        tags: rules.tags.join(", "),
        send_resolved: rules.send_resolved,
        remind_hours: rules.remind_hours.map(|n| n.to_string()).unwrap_or_default(),
        group_seconds: rules.group_seconds.to_string(),
        ..blank()
    };
    if let Some(plan) = &channel.summary {
        typed.at.clone_from(&plan.at);
        typed.timezone.clone_from(&plan.timezone);
    }
    if let Some(smtp) = &channel.smtp {
        typed.host.clone_from(&smtp.host);
        typed.port = smtp.port.to_string();
        typed.security = smtp.security.to_string();
        typed.username = smtp.username.clone().unwrap_or_default();
        typed.from.clone_from(&smtp.from);
        typed.to = smtp.to.join("\n");
    }
    typed
}

fn kind_of(channel: &ChannelView) -> String {
    channel.webhook.as_ref().map_or(MAIL, |hook| hook.preset.as_str()).to_owned()
}

fn page(
    kind: &str,
    channel: Option<&ChannelView>,
    form: Typed,
    ticked: &[AlertKind],
    errors: FormErrors,
) -> ChannelFormPage {
    let preset = preset(kind);
    let condition = |kind: &AlertKind| Condition {
        field: format!("{TICK}{kind}"),
        title: crate::words::alert::title(*kind),
        ticked: ticked.contains(kind),
    };
    ChannelFormPage {
        id: channel.map(|c| c.id.to_string()),
        title: channel.map_or_else(|| words::ADD.to_owned(), |c| c.name.clone()),
        kinds: kinds(),
        kind: preset.map_or(MAIL, Preset::as_str).to_owned(),
        kind_name: preset.map_or(words::MAIL, words::preset),
        example: preset.map_or("", example),
        secret_name: preset.filter(|p| takes_secret(*p)).map_or("", words::secret),
        zones: chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect(),
        sums_up: preset != Some(Preset::PagerDuty),
        secret_needed: matches!(preset, Some(Preset::Gotify | Preset::PagerDuty)),
        origin: channel.and_then(|c| c.webhook.as_ref()).map(|hook| hook.origin.clone()).unwrap_or_default(),
        conditions: AlertKind::ALL.iter().map(condition).collect(),
        form,
        errors,
    }
}

/// Which kind of channel.
#[derive(Debug, Deserialize)]
pub struct KindQuery {
    #[serde(default)]
    kind: String,
}

/// The form of a new channel.
#[get("/alerts/channels/add")]
pub async fn new(who: Guarded<Admin>, view: View, query: web::Query<KindQuery>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&query.kind, None, blank(), &[], FormErrors::default())).await
}

/// Makes a channel; or shows the form for another kind, with what was typed.
#[post("/alerts/channels/add")]
pub async fn add(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<ChannelForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    if let Some(kind) = typed(form.text("to_kind")) {
        return view.show(&who, &page(&kind, None, form.typed().filled(), &form.ticked(), FormErrors::default())).await;
    }
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if errors.is_empty() {
        match channels::add(&s, &who.actor, input).await {
            Ok(_) => return Ok(go("/alerts/channels?done=channel-added")),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &page(&form.kind, None, form.typed(), &form.ticked(), errors)).await
}

/// The form of a channel that is there.
#[get("/alerts/channels/{id}/edit")]
pub async fn edit(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
) -> Result<HttpResponse, ApiError> {
    let channel = channels::get(&s, *id).await?;
    let page = page(&kind_of(&channel), Some(&channel), kept(&channel), &channel.rules.kinds, FormErrors::default());
    view.show(&who, &page).await
}

/// Changes a channel. Its kind stays.
#[post("/alerts/channels/{id}/edit")]
pub async fn save(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ChannelId>,
    form: SafeForm<ChannelForm>,
) -> Result<HttpResponse, ApiError> {
    let channel = channels::get(&s, *id).await?;
    let form = ChannelForm { kind: kind_of(&channel), ..form.0 };
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if errors.is_empty() {
        match channels::update(&s, &who.actor, *id, input).await {
            Ok(_) => return Ok(go("/alerts/channels?done=channel-saved")),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &page(&form.kind, Some(&channel), form.typed(), &form.ticked(), errors)).await
}
