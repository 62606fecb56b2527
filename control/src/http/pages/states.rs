//! Every component in every state, with names as long and as odd as they may be: for tests in a browser, on servers that are started for
//! that. Not a page of the product.

use super::chart::{Chart, chart};
use super::door::View;
use super::engine::Page;
use super::form::FormErrors;
use super::run_now::RunButton;
use super::strip::{Strip, sample};
use super::view::{Badge, JobRow, host_badge, job_badge, kind_word, protection_badge};
use crate::domain::fleet::HostState;
use crate::domain::health::Sample;
use crate::domain::job::{JobKind, JobState};
use crate::domain::protection::Protection;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::words::Moment;
use actix_web::{HttpResponse, get};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Names that people and machines may give: long, without a place to break, from right to left, with pictures, and with what looks like HTML.
const NAMES: [&str; 5] = [
    "db-01",
    "a-host-whose-name-goes-on-and-on-without-ever-coming-to-an-end-because-nobody-said-that-it-has-to-stop.example.org",
    "خادم-النسخ-الاحتياطي شركة الأمثلة",
    "👩‍💻🗄️ Büro & Söhne 💾💾💾",
    "<b>fett</b> \"{{ 7 * 7 }}\" &amp;",
];

/// Every component in every state.
#[derive(Debug, Serialize)]
pub struct StatesPage {
    /// Each state of a job.
    pub jobs: Vec<Badge>,
    /// Each state of a host's connection.
    pub connections: Vec<Badge>,
    /// Each state of a host's protection.
    pub protection: Vec<Badge>,
    /// Odd names.
    pub names: [&'static str; 5],
    /// Jobs, one in each state, each on a host with one of the names.
    pub rows: Vec<JobRow>,
    /// A strip with each kind of day.
    pub strip: Strip,
    /// A size over time, with a quota.
    pub chart: Option<Chart>,
    /// Run now in each state.
    pub runs: Vec<RunButton>,
    /// What is wrong with the sample form.
    pub errors: FormErrors,
    /// An instant.
    pub at: Moment,
    /// One that is to come.
    pub later: Moment,
}

impl Page for StatesPage {
    const TEMPLATE: &'static str = "pages/states.html";
}

fn errors() -> FormErrors {
    let mut errors = FormErrors { general: "The schedule was not saved.".into(), ..FormErrors::default() };
    errors.add("sample_cron", "Hour: 25 is not within 0 to 23");
    errors.add("sample_paths", format!("Line 2: {} must start with / or a drive letter", NAMES[1]));
    errors.add("sample_repository", "Choose one");
    errors
}

fn job((n, state): (usize, JobState), now: Timestamp) -> JobRow {
    let name = NAMES[n % NAMES.len()];
    let running = state == JobState::Running;
    JobRow {
        id: n.to_string(),
        kind: kind_word(JobKind::Backup),
        about: name.to_owned(),
        host_id: n.to_string(),
        host: name.to_owned(),
        badge: job_badge(state),
        open: !state.finished(),
        percent: running.then_some(35),
        left: running.then_some(190),
        at: Moment::new(now - Duration::from_secs(3600 * n as u64), now),
        took: state.finished().then_some(184.0),
        added: (state == JobState::Succeeded).then_some(1_234_567_890),
        by: NAMES[2].to_owned(),
    }
}

fn size_over_time(now: Timestamp) -> Option<Chart> {
    let samples: Vec<Sample> = (0..30u64)
        .map(|day| Sample {
            at: now - Duration::from_secs((30 - day) * 86_400),
            raw_size: 900_000_000_000 + day * day * 300_000_000,
            uncompressed_size: None,
            restore_size: Some(2_000_000_000_000),
            snapshots: 60 + day,
            free: None,
        })
        .collect();
    chart(&samples, Some(1_500_000_000_000), now)
}

impl StatesPage {
    /// The page as it is at an instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            jobs: JobState::ALL.iter().map(|state| job_badge(*state)).collect(),
            connections: HostState::ALL.iter().map(|state| host_badge(*state)).collect(),
            protection: Protection::ALL.iter().map(|state| protection_badge(*state)).collect(),
            names: NAMES,
            rows: JobState::ALL.iter().copied().enumerate().map(|one| job(one, now)).collect(),
            strip: sample(JobState::ALL, now),
            chart: size_over_time(now),
            runs: [("press", "", None), ("ask", "", None), ("offline", "", None), ("not", "Runs already", Some("1"))]
                .map(|(does, why, job)| RunButton { does, why, job: job.map(Into::into) })
                .into(),
            errors: errors(),
            at: Moment::new(now - Duration::from_secs(190), now),
            later: Moment::new(now + Duration::from_secs(7200), now),
        }
    }
}

/// Shows every component in every state.
#[get("/states")]
pub async fn show(who: Guarded<Viewer>, view: View) -> Result<HttpResponse, ApiError> {
    view.show(&who, &StatesPage::at(Timestamp::now())).await
}
