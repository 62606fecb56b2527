//! The journal's part about fires: how far each schedule was followed, which fires were acted on, and what of them the control plane
//! has not heard.

use super::{Journal, JournalError, Phase, told};
use restic_manager_shared::id::{JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::{FireLedger, FireReport};
use restic_manager_shared::wire::job::{FinishReport, Offer};
use restic_manager_shared::wire::progress::ChunkRequest;
use restic_manager_shared::wire::recall::RecallRequest;
use rusqlite::{OptionalExtension as _, params};
use std::collections::HashMap;

/// Fires that are remembered for each schedule, in case the clock is set back.
const REMEMBERED: i64 = 300;

/// A job that has ended, with everything that the control plane has not heard of it.
#[derive(Clone, Debug)]
pub struct Spooled {
    /// The fire that it came from, unless the control plane knows it.
    pub fire: Option<FireReport>,
    /// How it ended; none for a fire that was skipped.
    pub report: Option<FinishReport>,
    /// Its log.
    pub chunks: Vec<ChunkRequest>,
    /// The attempt.
    pub attempt: i32,
    /// What the control plane has to be told first, if it may have forgotten the job.
    pub recall: Option<RecallRequest>,
}

impl Journal {
    /// Writes down what became of a fire, before anything is done about it. A skipped one has no offer.
    ///
    /// # Errors
    /// When the disk refuses; then restic must not start.
    pub fn fire(&self, fire: &FireReport, offer: Option<&Offer>) -> Result<(), JournalError> {
        let (id, schedule) = (fire.id.to_string(), fire.schedule_id.to_string());
        let phase = if offer.is_some() { Phase::Accepted } else { Phase::Finished };
        let offer = offer.map(serde_json::to_string).transpose()?;
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "INSERT OR IGNORE INTO jobs (id, attempt, offer, phase, accepted_at, fire, schedule, due)
             VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                id,
                offer,
                phase.word(),
                fire.fired_at.micros(),
                serde_json::to_string(fire)?,
                schedule,
                fire.due.micros()
            ],
        )?;
        for due in fire.stands_for.iter().chain([&fire.due]) {
            tx.execute("INSERT OR IGNORE INTO fired (schedule, due) VALUES (?1, ?2)", params![schedule, due.micros()])?;
        }
        tx.execute(
            "DELETE FROM fired WHERE schedule = ?1 AND due <=
             (SELECT due FROM fired WHERE schedule = ?1 ORDER BY due DESC LIMIT 1 OFFSET ?2)",
            params![schedule, REMEMBERED],
        )?;
        tx.execute("UPDATE ledgers SET until = ?2 WHERE schedule = ?1", params![schedule, fire.due.micros()])?;
        tx.commit()?;
        Ok(())
    }

    /// The control plane has stored the fire of this job.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn announced(&self, job: JobId) -> Result<(), JournalError> {
        self.db().execute(
            "UPDATE jobs SET told_fire = coalesce(fire, told_fire), fire = NULL WHERE id = ?1",
            [job.to_string()],
        )?;
        Ok(())
    }

    /// Notes how far a schedule was followed, and by which line.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn follow(&self, ledger: &FireLedger) -> Result<(), JournalError> {
        self.db().execute(
            "INSERT OR REPLACE INTO ledgers (schedule, cron, timezone, since, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                ledger.schedule_id.to_string(),
                ledger.cron,
                ledger.timezone,
                ledger.since.micros(),
                ledger.until.micros()
            ],
        )?;
        Ok(())
    }

    /// A schedule's line is followed no longer, and was up to here. Kept until the control plane knows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn unfollow(&self, last: &FireLedger) -> Result<(), JournalError> {
        let schedule = last.schedule_id.to_string();
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute(
            "INSERT INTO ended (schedule, cron, timezone, since, until) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![schedule, last.cron, last.timezone, last.since.micros(), last.until.micros()],
        )?;
        tx.execute("DELETE FROM ledgers WHERE schedule = ?1", [schedule])?;
        tx.commit()?;
        Ok(())
    }

    /// The control plane knows that this line ended.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn end_is_known(&self, last: &FireLedger) -> Result<(), JournalError> {
        self.db().execute(
            "DELETE FROM ended WHERE schedule = ?1 AND since = ?2 AND until = ?3",
            params![last.schedule_id.to_string(), last.since.micros(), last.until.micros()],
        )?;
        Ok(())
    }

    /// What is followed. A record that does not parse is left out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn ledgers(&self) -> Result<Vec<FireLedger>, JournalError> {
        self.ledgers_in("ledgers", false)
    }

    /// What was followed, and the control plane may not know that it ended; oldest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn ended(&self) -> Result<Vec<FireLedger>, JournalError> {
        self.ledgers_in("ended", true)
    }

    fn ledgers_in(&self, table: &str, ended: bool) -> Result<Vec<FireLedger>, JournalError> {
        let db = self.db();
        let mut query =
            db.prepare(&format!("SELECT schedule, cron, timezone, since, until FROM {table} ORDER BY rowid"))?;
        let rows = query.query_map([], |row| {
            let ledger = |schedule_id| -> rusqlite::Result<FireLedger> {
                Ok(FireLedger {
                    schedule_id,
                    cron: row.get(1)?,
                    timezone: row.get(2)?,
                    since: Timestamp::from_micros(row.get(3)?),
                    until: Timestamp::from_micros(row.get(4)?),
                    ended,
                })
            };
            row.get::<_, String>(0)?.parse().ok().map(ledger).transpose()
        })?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    /// The newest fires of a schedule that were acted on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn fired(&self, schedule: ScheduleId) -> Result<Vec<Timestamp>, JournalError> {
        let db = self.db();
        let mut query = db.prepare("SELECT due FROM fired WHERE schedule = ?1")?;
        let rows = query.query_map([schedule.to_string()], |row| Ok(Timestamp::from_micros(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// For each schedule the oldest instant that the control plane has not heard of: of a fire, or of one that a fire stands for. The
    /// beginning of time, if those are too many to be named.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn unannounced(&self) -> Result<HashMap<ScheduleId, Timestamp>, JournalError> {
        let db = self.db();
        let mut query = db.prepare("SELECT fire FROM jobs WHERE fire IS NOT NULL")?;
        let fires = query.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
        let mut untold = HashMap::new();
        for json in fires {
            let fire: FireReport = serde_json::from_str(&json)?;
            let unnamed = (fire.stands_for_more > 0).then_some(Timestamp::from_micros(0));
            let oldest = fire.stands_for.iter().copied().chain([fire.due]).chain(unnamed).min().unwrap_or(fire.due);
            let known = untold.entry(fire.schedule_id).or_insert(oldest);
            *known = oldest.min(*known);
        }
        Ok(untold)
    }

    /// Ended jobs that wait to be told, oldest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finished(&self) -> Result<Vec<JobId>, JournalError> {
        let db = self.db();
        let mut query = db.prepare("SELECT id FROM jobs WHERE phase = 'finished' ORDER BY accepted_at, rowid")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        Ok(rows.collect::<Result<Vec<_>, _>>()?.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// A job's place among the others: who came first has the lower one. None if it is not here.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn place(&self, job: JobId) -> Result<Option<i64>, JournalError> {
        let sql = "SELECT rowid FROM jobs WHERE id = ?1";
        Ok(self.db().query_row(sql, [job.to_string()], |row| row.get(0)).optional()?)
    }

    /// The attempt of an ended job that the control plane had offered; none for a fire.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn offered(&self, job: JobId) -> Result<Option<i32>, JournalError> {
        let sql = "SELECT attempt FROM jobs WHERE id = ?1 AND due IS NULL";
        Ok(self.db().query_row(sql, [job.to_string()], |row| row.get(0)).optional()?)
    }

    /// An ended job with all that is to be told of it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn spooled(&self, job: JobId) -> Result<Option<Spooled>, JournalError> {
        let row: Option<(i32, Option<String>)> = self
            .db()
            .query_row(
                "SELECT attempt, fire FROM jobs WHERE id = ?1 AND phase = 'finished'",
                [job.to_string()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let Some((attempt, fire)) = row else { return Ok(None) };
        let fire = fire.map(|json| serde_json::from_str(&json)).transpose()?;
        let recall = self.recall(job, attempt)?;
        Ok(Some(Spooled { fire, report: self.report(job)?, chunks: self.chunks(job)?, attempt, recall }))
    }

    fn recall(&self, job: JobId, attempt: i32) -> Result<Option<RecallRequest>, JournalError> {
        let Some((offer, accepted_at)) = told::recalled(&self.db(), &job.to_string())? else { return Ok(None) };
        let offer: Offer = serde_json::from_str(&offer)?;
        let Offer { task, schedule_id, state_version, .. } = offer;
        Ok(Some(RecallRequest { attempt, task, schedule_id, state_version, accepted_at }))
    }
}
