//! What a schedule as it is being typed comes to: in plain words, what is kept as a small timeline, and who applies the rules.

use super::names::Names;
use super::schedule_form::ScheduleForm;
use crate::domain::fleet::Host;
use crate::domain::reading::reading;
use crate::domain::retention::{Count, Retention};
use crate::http::problem::ApiError;
use crate::service::repositories::Access;
use crate::service::{Services, repositories};
use crate::words::repository as words;
use crate::words::schedule::{Slot, keeps, slot};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::CredentialMode;
use serde::Serialize;

/// Paths that the sentence names.
const PATHS: usize = 4;
/// The timeline's own units.
const WIDE: f64 = 340.0;
/// Dots of one rule at most.
const DOTS: u32 = 14;

/// A repository to choose.
#[derive(Debug, Serialize)]
pub struct RepositoryChoice {
    /// Its identity.
    pub id: String,
    /// Its name, with what the host may do there.
    pub name: String,
}

/// What the schedule comes to.
#[derive(Debug, Default, Serialize)]
pub struct Preview {
    /// Its host.
    pub host: String,
    /// The first of its paths.
    pub paths: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// How many patterns are left out.
    pub excludes: usize,
    /// Where it backs up to.
    pub repository: Option<String>,
    /// When, in words; none if the line is not valid.
    pub when: Option<String>,
    /// Who applies the rules; empty without a repository.
    pub applied: String,
    /// The rules in words.
    pub rules: String,
    /// What is kept in the long run, in words.
    pub kept: String,
    /// The rules as a timeline; none if everything is kept.
    pub timeline: Option<Timeline>,
}

/// The rules as a picture.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Timeline {
    /// Dots: where, and how large.
    pub dots: Vec<(String, &'static str)>,
    /// What each group of them is: where, and the words.
    pub labels: Vec<(String, String)>,
}

/// What a host may do in the repositories that it has a credential for.
async fn accesses(s: &Services, host: &Host) -> Result<Vec<Access>, ApiError> {
    Ok(repositories::of_host(s, host.id).await?)
}

/// All repositories, as the form offers them to a host.
///
/// # Errors
/// When the database fails.
pub async fn choices(s: &Services, host: &Host) -> Result<Vec<RepositoryChoice>, ApiError> {
    let held = accesses(s, host).await?;
    let mode = |id: RepositoryId| held.iter().find(|a| a.repository == id).map(|a| a.mode);
    let listed = repositories::list(s, None, 1000).await?.items;
    let choice = |r: crate::domain::repository::Repository| RepositoryChoice {
        id: r.id.to_string(),
        name: words::choice(&r.name, mode(r.id)),
    };
    Ok(listed.into_iter().map(choice).collect())
}

/// What a form comes to.
///
/// # Errors
/// When the database fails.
pub async fn preview(s: &Services, host: &Host, form: &ScheduleForm, now: Timestamp) -> Result<Preview, ApiError> {
    let mut names = Names::default();
    let chosen = form.repository.parse::<RepositoryId>().ok();
    let repository = match chosen {
        Some(id) => names.repository(s, id).await?,
        None => None,
    };
    let applied = match (chosen, &repository) {
        (Some(id), Some(name)) => {
            let held = accesses(s, host).await?.into_iter().find(|a| a.repository == id);
            let maintenance = match held.as_ref().and_then(|a| a.maintenance_host) {
                Some(id) => Some(names.host(s, id).await?),
                None => None,
            };
            applied(name, held.as_ref(), maintenance.as_deref())
        }
        (Some(_) | None, _) => String::new(),
    };
    let (paths, rules) = (super::form::lines(&form.paths), form.rules());
    Ok(Preview {
        host: host.name.clone(),
        more: paths.len().saturating_sub(PATHS),
        paths: paths.into_iter().take(PATHS).collect(),
        excludes: super::form::lines(&form.excludes).len(),
        repository,
        when: form.cron.parse().ok().map(|cron| reading(&cron)),
        applied,
        rules: keeps(&rules),
        kept: form.kept(host.timezone.as_deref(), now),
        timeline: timeline(&rules),
    })
}

fn applied(name: &str, held: Option<&Access>, maintenance: Option<&str>) -> String {
    match held.map(|a| a.mode) {
        Some(CredentialMode::AppendOnly) => words::applied_by(name, maintenance),
        Some(CredentialMode::Full) => words::applied_here(name, maintenance),
        None => words::no_access(name),
    }
}

/// The rules that count, oldest first, each with as many dots as it keeps, as far as there is room.
fn timeline(rules: &Retention) -> Option<Timeline> {
    let rules = [
        (Slot::Years, rules.keep_yearly, "4.5"),
        (Slot::Months, rules.keep_monthly, "3.2"),
        (Slot::Weeks, rules.keep_weekly, "2.7"),
        (Slot::Days, rules.keep_daily, "2.2"),
        (Slot::Hours, rules.keep_hourly, "2"),
        (Slot::Last, rules.keep_last, "2"),
    ];
    let counted = |(which, count, size): (Slot, Option<Count>, &'static str)| match count {
        Some(Count::Of(0)) | None => None,
        Some(Count::Of(n)) => Some((which, Some(n), size)),
        Some(Count::Unlimited) => Some((which, None, size)),
    };
    let counted: Vec<_> = rules.into_iter().filter_map(counted).collect();
    let groups = u32::try_from(counted.len()).ok().filter(|n| *n > 0)?;
    let wide = WIDE / f64::from(groups);
    let mut drawn = Timeline::default();
    for (n, (which, count, size)) in (0u32..).zip(counted) {
        let (from, dots) = (f64::from(n) * wide + 8.0, count.unwrap_or(DOTS).min(DOTS));
        let step = ((wide - 16.0) / f64::from(dots.max(2))).min(18.0);
        drawn.dots.extend((0..dots).map(|k| (format!("{:.1}", from + f64::from(k) * step), size)));
        drawn.labels.push((format!("{:.1}", from - 4.0), slot(which, count)));
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_drawn_oldest_first_and_nothing_where_all_is_kept() {
        assert_eq!(timeline(&Retention::default()), None);
        let rules = Retention {
            keep_daily: Some(Count::Of(3)),
            keep_yearly: Some(Count::Of(1)),
            keep_hourly: Some(Count::Of(0)),
            ..Retention::default()
        };
        let drawn = timeline(&rules).expect("two rules");
        assert_eq!(
            drawn.dots,
            [("8.0", "4.5"), ("178.0", "2.2"), ("196.0", "2.2"), ("214.0", "2.2")].map(|(x, r)| (x.to_owned(), r))
        );
        assert_eq!(drawn.labels, [("4.0", "1 year"), ("174.0", "3 days")].map(|(x, r)| (x.to_owned(), r.to_owned())));
        let all = Retention { keep_last: Some(Count::Unlimited), ..Retention::default() };
        assert_eq!(timeline(&all).map(|t| t.dots.len()), Some(14));
    }
}
