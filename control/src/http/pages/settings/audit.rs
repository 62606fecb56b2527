//! The audit log, page by page and by day: who did what to what, from where; narrowed by what the address says. Whether the entries of a page
//! follow each other unbroken is looked at with each page; the whole chain is the doctor's business.

use super::super::door::{View, address};
use super::super::engine::Page;
use super::super::hosts::PAGE;
use super::super::view::asked_by;
use super::super::zone;
use super::subject;
use crate::http::audited;
use crate::http::guard::{Admin, Guarded};
use crate::http::problem::ApiError;
use crate::service::audit::{Chained, Filter};
use crate::service::{ActError, Services, audit};
use crate::words::filter::{Part, filter};
use crate::words::{Moment, audit as words, capital, day};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A page of the audit log.
#[derive(Debug, Serialize)]
pub struct SettingsAuditPage {
    /// The open tab.
    pub tab: &'static str,
    /// Entries by day, newest first.
    pub days: Vec<Day>,
    /// What the list is narrowed to, as it was asked for.
    pub asked: Asked,
    /// Who there is to choose from: spelling and name.
    pub actors: Vec<(String, String)>,
    /// Choices of many acts: spelling and words.
    pub choices: [(&'static str, &'static str); 3],
    /// Kinds of things that acts are on, with their acts.
    pub kinds: Vec<Kind>,
    /// The act that was asked for, if it is none of these.
    pub other_act: Option<String>,
    /// What the entries shall be about, in words; empty for anything.
    pub about: String,
    /// The same entries as CSV.
    pub csv: String,
    /// The address of this list without its cursor.
    pub here: String,
    /// Whether the list is narrowed.
    pub narrowed: bool,
    /// To what, in words.
    pub to: String,
    /// What is wrong with what was asked for.
    pub trouble: String,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Each entry's hash follows from the one before it. None where the list is narrowed: those between are not on the page.
    pub unbroken: Option<bool>,
}

impl Page for SettingsAuditPage {
    const TEMPLATE: &'static str = "pages/settings-audit.html";
    const NAV: &'static str = "settings";
}

/// A kind of things that acts are on.
#[derive(Debug, Serialize)]
pub struct Kind {
    /// How its acts' codes begin.
    pub code: &'static str,
    /// In words.
    pub word: &'static str,
    /// Each act: code and words.
    pub acts: Vec<(&'static str, &'static str)>,
}

/// The entries of one day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Which day, in the viewer's zone.
    pub name: String,
    /// Those of it.
    pub rows: Vec<EntryRow>,
}

/// An entry.
#[derive(Debug, Serialize)]
pub struct EntryRow {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Moment,
    /// Who.
    pub who: String,
    /// What.
    pub action: String,
    /// Its code, such as `schedule.update`.
    pub code: String,
    /// To what: its kind and its name, or else its identity.
    pub subject: String,
    /// Where that is, if it is there.
    pub href: Option<String>,
    /// More about it: name and value.
    pub detail: Vec<(String, String)>,
    /// From where.
    pub address: String,
}

/// What the log is narrowed to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Asked {
    /// Words to be found.
    pub q: String,
    /// Who, as the log spells it.
    pub who: String,
    /// A choice of acts.
    pub act: String,
    /// To what, as the log spells it.
    pub about: String,
    /// The first day, in the viewer's zone.
    pub from: String,
    /// The last day, in the viewer's zone.
    pub to: String,
    /// `next` of the page before.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

impl Asked {
    fn address(&self) -> String {
        let asked = [("q", &*self.q), ("who", &*self.who), ("act", &*self.act), ("about", &*self.about)];
        address("/settings/audit", &[&asked[..], &[("from", &*self.from), ("to", &*self.to)]].concat())
    }

    /// The days as instants: not before, and before.
    fn span(&self) -> Result<(Option<Timestamp>, Option<Timestamp>), ActError> {
        let since = zone::day("/from", &self.from)?.map(zone::begins);
        Ok((since, zone::day("/to", &self.to)?.map(zone::ends)))
    }

    fn filter(&self) -> Result<Filter, ActError> {
        let (since, until) = self.span()?;
        let (actor, action) = (Some(self.who.clone()), Some(self.act.clone()));
        audited::Asked { actor, action, subject: Some(self.about.clone()), q: Some(self.q.clone()), since, until }
            .filter()
    }

    /// Where the same entries are as CSV; the whole log if it is not clear which.
    fn csv(&self) -> String {
        let (since, until) = self.span().unwrap_or_default();
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        let asked = [("q", &*self.q), ("actor", &*self.who), ("action", &*self.act), ("subject", &*self.about)];
        address(
            "/api/v1/audit-events.csv",
            &[&asked[..], &[("since", &*text(since)), ("until", &*text(until))]].concat(),
        )
    }

    fn said(&self, about: &str) -> String {
        filter(&[
            (Part::Text, &self.q),
            (Part::Who, &asked_by(&self.who)),
            (Part::Act, words::choice(&self.act)),
            (Part::About, about),
            (Part::From, &self.from),
            (Part::Until, &self.to),
        ])
    }
}

/// The acts to choose from, by the kind of thing that they are on.
fn kinds() -> Vec<Kind> {
    let acts = |kind: &str| {
        let of = words::ACTIONS.iter().filter(|(code, _)| code.split('.').next() == Some(kind));
        of.copied().collect::<Vec<_>>()
    };
    words::KINDS.iter().map(|(code, word)| Kind { code, word, acts: acts(code) }).collect()
}

/// Who there is to choose from, with whom was asked for.
async fn actors(s: &Services, asked: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut known = audit::actors(s).await?;
    if !asked.is_empty() && known.iter().all(|label| label != asked) {
        known.push(asked.to_owned());
    }
    Ok(known.into_iter().map(|label| (asked_by(&label), label)).map(|(name, label)| (label, name)).collect())
}

/// Entries as rows, by day.
async fn days(s: &Services, entries: &[Chained], now: Timestamp) -> Result<Vec<Day>, ApiError> {
    let mut days = Vec::<Day>::new();
    for (c, about) in entries.iter().zip(subject::all(s, entries).await?) {
        let row = EntryRow {
            seq: c.seq,
            at: Moment::new(c.entry.at, now),
            who: asked_by(&c.entry.actor),
            action: words::action(&c.entry.action).to_owned(),
            code: c.entry.action.clone(),
            subject: about.said,
            href: about.href,
            detail: details(&c.entry.detail),
            address: c.entry.address.clone(),
        };
        let name = day(c.entry.at, now);
        match days.last_mut().filter(|day| day.name == name) {
            Some(day) => day.rows.push(row),
            None => days.push(Day { name, rows: vec![row] }),
        }
    }
    Ok(days)
}

/// Shows a page.
#[get("/settings/audit")]
pub async fn list(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let (mut asked, now) = (asked.into_inner(), Timestamp::now());
    let cursor = asked.cursor.take();
    let later = cursor.is_some();
    let (items, next, trouble) = match asked.filter() {
        Ok(filter) => {
            let listed = audit::list(&s, filter, cursor, PAGE).await?;
            (listed.items, listed.next, String::new())
        }
        Err(ActError::Invalid(wrong)) => (vec![], None, wrong.first().map(|w| capital(&w.detail)).unwrap_or_default()),
        Err(other) => return Err(other.into()),
    };
    let here = asked.address();
    let narrowed = here != "/settings/audit";
    let about = if asked.about.is_empty() { String::new() } else { subject::one(&s, &asked.about).await? };
    let known = asked.act.is_empty() || words::choice(&asked.act) != asked.act;
    let page = SettingsAuditPage {
        tab: "audit",
        days: days(&s, &items, now).await?,
        actors: actors(&s, &asked.who).await?,
        choices: words::CHOICES,
        kinds: kinds(),
        other_act: (!known).then(|| asked.act.clone()),
        csv: asked.csv(),
        to: asked.said(&about),
        about,
        here,
        narrowed,
        trouble,
        next,
        later,
        unbroken: (!narrowed).then(|| audit::is_unbroken(&items)),
        asked,
    };
    view.show(&who, &page).await
}

/// The parts of an entry's detail, as name and value.
fn details(json: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(parts)) = serde_json::from_str(json) else { return vec![] };
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    parts
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.replace('_', " "), text(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_stays_in_the_address_and_in_the_file() {
        let asked = Asked { who: "user:anna".into(), act: "host".into(), to: "2026-11-19".into(), ..Asked::default() };
        assert_eq!(asked.address(), "/settings/audit?who=user%3Aanna&act=host&to=2026-11-19");
        let csv = "/api/v1/audit-events.csv?actor=user%3Aanna&action=host&until=2026-11-20T00%3A00%3A00";
        assert!(asked.csv().starts_with(csv), "{}", asked.csv());
        assert_eq!(asked.said(""), "by anna, act Hosts, until 2026-11-19");
        assert_eq!(Asked::default().csv(), "/api/v1/audit-events.csv");
        assert!(Asked { from: "soon".into(), ..Asked::default() }.filter().is_err());
    }

    #[test]
    fn each_act_stands_under_one_kind_or_is_a_sign_in() {
        let under: usize = kinds().iter().map(|kind| kind.acts.len()).sum();
        assert_eq!(under + crate::domain::audit::SIGN_INS.len(), words::ACTIONS.len());
    }

    #[test]
    fn details_are_read_without_braces() {
        let want = [("name".to_owned(), "web".to_owned()), ("new password".into(), "true".into())];
        assert_eq!(details(r#"{"name":"web","new_password":true,"gone":null}"#), want);
        assert!(details("{}").is_empty() && details("none").is_empty());
    }
}
