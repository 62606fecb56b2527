//! Recovery kits: of which repositories one is due, and making one. The file goes to the browser and nowhere else.

use super::door::View;
use super::engine::Page;
use super::form::FormErrors;
use super::view::asked_by;
use crate::http::api::recovery::handed_over;
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::recovery::{Closed, KitState};
use crate::service::{ActError, Services, recovery, users};
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The fields of the form.
const FIELDS: [&str; 5] = ["repository_id", "passphrase", "again", "plain", "password"];

/// How repositories stand, and the form.
#[derive(Debug, Serialize)]
pub struct RecoveryPage {
    /// Repositories that a host can open.
    pub kits: Vec<KitRow>,
    /// How many of them need a new kit.
    pub due: usize,
    /// The repository that is chosen; empty for all.
    pub chosen: String,
    /// Whether a plain kit is asked for.
    pub plain: bool,
    /// What is wrong with the form.
    pub errors: FormErrors,
}

impl Page for RecoveryPage {
    const TEMPLATE: &'static str = "pages/recovery.html";
    const NAV: &'static str = "recovery";
}

/// A repository in the list.
#[derive(Debug, Serialize)]
pub struct KitRow {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When the newest kit was made.
    pub made: Option<Moment>,
    /// By whom.
    pub by: String,
    /// Whether another is due.
    pub due: bool,
}

impl KitRow {
    /// A repository's state, for people.
    #[must_use]
    pub fn new(state: &KitState, now: Timestamp) -> Self {
        Self {
            id: state.repository_id.to_string(),
            name: state.name.clone(),
            made: state.made_at.map(|at| Moment::new(at, now)),
            by: state.made_by.as_deref().map(asked_by).unwrap_or_default(),
            due: state.due,
        }
    }
}

/// Which repository.
#[derive(Debug, Default, Deserialize)]
pub struct Chosen {
    #[serde(default)]
    repository: String,
}

/// Shows how repositories stand.
#[get("/recovery")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Chosen>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, query.into_inner().repository, false, FormErrors::default()).await?).await
}

async fn page(s: &Services, chosen: String, plain: bool, errors: FormErrors) -> Result<RecoveryPage, ApiError> {
    let (states, now) = (recovery::states(s).await?, Timestamp::now());
    let kits: Vec<KitRow> = states.iter().map(|state| KitRow::new(state, now)).collect();
    Ok(RecoveryPage { due: kits.iter().filter(|k| k.due).count(), kits, chosen, plain, errors })
}

/// How the kit should be.
#[derive(Debug, Deserialize)]
pub struct KitForm {
    #[serde(default)]
    repository_id: String,
    #[serde(default)]
    passphrase: Secret,
    #[serde(default)]
    again: Secret,
    #[serde(default)]
    plain: Option<String>,
    #[serde(default)]
    password: Secret,
}

impl KitForm {
    fn read(&self) -> Result<(Option<RepositoryId>, Closed), FormErrors> {
        let mut wrong = FormErrors::default();
        let repository = match self.repository_id.as_str() {
            "" => None,
            id => id.parse().map_err(|_| wrong.add("repository_id", wrong::CHOOSE_ONE)).ok(),
        };
        let closed = match (self.passphrase.reveal(), self.plain.is_some()) {
            ("", true) => Closed::Not,
            ("", false) => {
                wrong.add("passphrase", wrong::PASSPHRASE);
                Closed::Not
            }
            (_, true) => {
                wrong.add("plain", wrong::EITHER);
                Closed::Not
            }
            (_, false) => Closed::With(self.passphrase.clone()),
        };
        if self.passphrase != self.again {
            wrong.add("again", wrong::PASSPHRASES_DIFFER);
        }
        if wrong.is_empty() { Ok((repository, closed)) } else { Err(wrong) }
    }
}

/// Makes a kit and hands it over.
#[post("/recovery")]
pub async fn make(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<KitForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    let (chosen, plain) = (form.repository_id.clone(), form.plain.is_some());
    let errors = match form.read() {
        Err(wrong) => wrong,
        Ok((repository, closed)) => match make_if_proven(&s, &who, form.password, repository, closed).await {
            Ok(made) => return Ok(handed_over(made)),
            Err(error) => FormErrors::of(error, &FIELDS)?,
        },
    };
    view.again(&who, &page(&s, chosen, plain, errors).await?).await
}

async fn make_if_proven(
    s: &Services,
    who: &Guarded<Admin>,
    password: Secret,
    repository: Option<RepositoryId>,
    closed: Closed,
) -> Result<recovery::Made, ActError> {
    // All keys at once: a browser that was left open must not be enough.
    users::prove(s, &who.actor, password).await?;
    recovery::make(s, &who.actor, repository, closed).await
}
