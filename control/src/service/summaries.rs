//! Daily summaries: what they count, that each goes out once at its time, and sending one now. How they get there is `notices`; what is due is
//! decided in `domain::summary`.

use super::channels::{Tested, load, unseal};
use super::{ActError, Noun, Services, audit, names, notices};
use crate::domain::alert::{About, Alert};
use crate::domain::job::JobState;
use crate::domain::pause::current;
use crate::domain::permission::Actor;
use crate::domain::protection::Protection;
use crate::domain::summary::{AtRisk, DAY, Jobs, NAMED, OpenAlert, Summary, SummaryPlan, Turn, since, turn};
use crate::store::channels::ChannelRecord;
use crate::store::hosts::HostRecord;
use crate::store::{alerts_by_tag, channels, day_figures, host_search, summaries};
use restic_manager_shared::id::{ChannelId, HostId, MessageId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use std::collections::HashMap;

/// What is said of a summary that had not arrived when the next one was due.
const SUPERSEDED: &str = "The next summary takes its place.";

/// Puts the summaries that are due on their way. Answers how many.
///
/// # Errors
/// When the database fails. What goes wrong with one channel does not keep the others back.
pub async fn queue_due(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let due = s.db.read(move |conn| Ok::<_, ActError>(summaries::due(conn, now)?)).await?;
    let mut queued = 0;
    for channel in due {
        let id = channel.id;
        match queue(s, channel, now).await {
            Ok(is_queued) => queued += usize::from(is_queued),
            Err(error) => tracing::error!(channel = %id, %error, "a summary could not be made; it is tried again"),
        }
    }
    if queued > 0 {
        s.outbox.notify_one();
    }
    Ok(queued)
}

/// What is counted is read before the write, which only says that it is this server's to send.
async fn queue(s: &Services, channel: ChannelRecord, now: Timestamp) -> Result<bool, ActError> {
    let (Some(plan), Some(due), id) = (channel.summary, channel.summary_due, channel.id) else { return Ok(false) };
    match turn(&plan, due, now) {
        Turn::Wait => Ok(false),
        Turn::Pass(next) => {
            s.db.write(move |conn| Ok::<_, ActError>(summaries::claim(conn, id, due, next)?)).await?;
            Ok(false)
        }
        Turn::Send(next) => {
            let last = s.db.read(move |conn| Ok::<_, ActError>(summaries::last_made(conn, id)?)).await?;
            let summary = count(s, &plan, channel.rules.tags, since(last, now), now).await?;
            s.db.write(move |conn| {
                if !summaries::claim(conn, id, due, next)? {
                    return Ok(false);
                }
                summaries::queue(conn, id, &summary, SUPERSEDED, now)?;
                Ok::<_, ActError>(true)
            })
            .await
        }
    }
}

/// Sends the summary of the last day now, and waits for what the other side says. The next one comes at its time all the same.
///
/// # Errors
/// When there is no such channel, or it has no summary. That it does not arrive is an answer.
pub async fn send_now(s: &Services, actor: &Actor, id: ChannelId, now: Timestamp) -> Result<Tested, ActError> {
    let record = load(s, id).await?;
    let Some(plan) = &record.summary else {
        return Err(ActError::field("/summary", "this channel has no daily summary"));
    };
    let secrets = unseal(s, &record)?;
    let summary = count(s, plan, record.rules.tags.clone(), now - DAY, now).await?;
    let (message, actor) = (MessageId::new(), actor.clone());
    let notice = notices::of_summary(s, message, summary.clone());
    let came_of_it = s.couriers.carry(&record.settings, &secrets, &notice, now).await;
    let (delivered, said) = match &came_of_it {
        Ok(taken) => (true, taken.said.clone()),
        Err(why) => (false, why.clone()),
    };
    let detail = serde_json::json!({"name": record.name, "delivered": delivered, "said": said});
    s.db.write(move |conn| {
        if channels::get(conn, id)?.is_none() {
            return Err(ActError::NotFound(Noun::Channel));
        }
        let kept = came_of_it.as_ref().map(|taken| taken.digest.as_str()).map_err(String::as_str);
        summaries::sent_by_hand(conn, (id, message), &summary, kept, now)?;
        Ok(audit::record(conn, &actor, now, "channel.summary", &format!("channel:{id}"), &detail)?)
    })
    .await?;
    Ok(Tested { delivered, said })
}

/// What is counted before the names are known.
struct Counted {
    standings: HashMap<Protection, i64>,
    ended: Vec<day_figures::Ended>,
    worst: Vec<HostRecord>,
    causes: HashMap<HostId, (Option<CauseCode>, Option<RepositoryId>)>,
    alerts: Vec<Alert>,
    alerts_all: i64,
}

async fn counted(s: &Services, tags: Vec<String>, since: Timestamp, now: Timestamp) -> Result<Counted, ActError> {
    s.db.read(move |conn| {
        let worst = host_search::worst_with_tags(conn, &tags, NAMED, now)?;
        let ids: Vec<HostId> = worst.iter().map(|host| host.id).collect();
        let mut causes = HashMap::new();
        for (host, code, repository) in day_figures::causes(conn, &ids)? {
            causes.entry(host).or_insert((code, repository));
        }
        let (alerts, alerts_all) = alerts_by_tag::worst(conn, &tags, NAMED)?;
        Ok(Counted {
            standings: host_search::standings(conn, &tags, now)?.into_iter().collect(),
            ended: day_figures::ended(conn, &tags, since, now)?,
            worst,
            causes,
            alerts,
            alerts_all,
        })
    })
    .await
}

/// The names that a summary tells.
struct Names {
    hosts: HashMap<HostId, String>,
    schedules: HashMap<ScheduleId, String>,
    repositories: HashMap<RepositoryId, String>,
}

async fn named(s: &Services, counted: &Counted) -> Result<Names, ActError> {
    let about: Vec<About> = counted.alerts.iter().map(|alert| About::of(&alert.subject)).collect();
    let failing = counted.causes.values().filter_map(|(_, repository)| *repository);
    let wanted = names::Wanted {
        hosts: about.iter().filter_map(|a| a.host).collect(),
        schedules: about.iter().filter_map(|a| a.schedule).collect(),
        repositories: about.iter().filter_map(|a| a.repository).chain(failing).collect(),
    };
    let found = names::of(s, wanted).await?;
    Ok(Names {
        hosts: found.hosts.into_iter().collect(),
        schedules: found.schedules.into_iter().collect(),
        repositories: found.repositories.into_iter().collect(),
    })
}

fn jobs(ended: &[day_figures::Ended]) -> Jobs {
    let count = |states: &[JobState]| ended.iter().filter(|(s, ..)| states.contains(s)).map(|(_, n, _)| n).sum();
    #[allow(clippy::cast_possible_truncation)] // it stops at the largest there is
    let added_bytes = ended.iter().map(|(_, _, bytes)| bytes).sum::<f64>() as i64;
    Jobs {
        succeeded: count(&[JobState::Succeeded]),
        warnings: count(&[JobState::Warning]),
        failed: count(&[JobState::Failed, JobState::Lost]),
        missed: count(&[JobState::Missed]),
        added_bytes,
    }
}

impl Counted {
    fn at_risk(&self, host: &HostRecord, names: &Names, now: Timestamp) -> AtRisk {
        let state = host.standing.of(host.lifecycle, now);
        let (cause, repository) = self.causes.get(&host.id).copied().unwrap_or_default();
        let is_failing = state == Protection::Failing;
        AtRisk {
            id: host.id,
            name: host.name.clone(),
            state,
            last_good_at: host.standing.good_at,
            cause: cause.filter(|_| is_failing),
            repository: repository.filter(|_| is_failing).and_then(|id| names.repositories.get(&id).cloned()),
            paused: current(&host.pauses, now).is_some(),
        }
    }
}

fn open_alert(alert: &Alert, names: &Names) -> OpenAlert {
    let about = About::of(&alert.subject);
    OpenAlert {
        id: alert.id,
        kind: alert.kind,
        severity: alert.severity,
        detail: alert.detail.clone(),
        repository: about.repository.and_then(|id| names.repositories.get(&id).cloned()),
        host: about.host.and_then(|id| names.hosts.get(&id).cloned()),
        schedule: about.schedule.and_then(|id| names.schedules.get(&id).cloned()),
        opened_at: alert.opened_at,
        acknowledged: alert.acknowledged_at.is_some(),
    }
}

fn beyond<T>(all: i64, named: &[T]) -> i64 {
    (all - i64::try_from(named.len()).unwrap_or(all)).max(0)
}

/// How hosts with one of these tags, or all, are now, and what was from an instant to now.
async fn count(
    s: &Services,
    plan: &SummaryPlan,
    tags: Vec<String>,
    since: Timestamp,
    now: Timestamp,
) -> Result<Summary, ActError> {
    let counted = counted(s, tags.clone(), since, now).await?;
    let names = named(s, &counted).await?;
    let hosts: i64 = counted.standings.values().sum();
    let protected = counted.standings.iter().filter(|(state, _)| state.counts()).map(|(_, n)| n).sum();
    let at_risk: Vec<AtRisk> = counted.worst.iter().map(|host| counted.at_risk(host, &names, now)).collect();
    let alerts: Vec<OpenAlert> = counted.alerts.iter().map(|alert| open_alert(alert, &names)).collect();
    Ok(Summary {
        at: now,
        since,
        timezone: plan.timezone.clone(),
        tags,
        hosts,
        protected,
        jobs: jobs(&counted.ended),
        at_risk_more: beyond(hosts - protected, &at_risk),
        at_risk,
        alerts_more: beyond(counted.alerts_all, &alerts),
        alerts,
    })
}
