//! The table of all operations of the contract: the API, the agents' side, health. The OpenAPI document is made from it, and the
//! authorisation test walks that document.

use super::problem::{answer, problem};
use super::{agent, api, health};
use actix_web::dev::ResourceDef;
use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, web};
use std::future::{Ready, ready};
use std::sync::Arc;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{OpenApi, PathItem};
use utoipa::{Modify, OpenApi as _};
use utoipa_actix_web::AppExt;
use utoipa_actix_web::scope::scope;
use utoipa_actix_web::service_config::ServiceConfig;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "restic-manager",
        description = "Everything a page can do, and everything agents say. Lists answer `{items, next}`; errors are RFC 9457 \
                       problem documents with a stable `code`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    modifiers(&Security),
    tags(
        (name = "hosts", description = "Machines with an agent"),
        (name = "schedules", description = "What a host backs up, and when"),
        (name = "jobs", description = "One run of one operation on one host"),
        (name = "snapshots", description = "What is in the repositories, as metadata"),
        (name = "repositories", description = "Where backups go"),
        (name = "drills", description = "What was proven restorable, when and how"),
        (name = "alerts", description = "Conditions that somebody should know of"),
        (name = "releases", description = "Releases of the agent, and how they roll out"),
        (name = "administration", description = "Users, tokens, the audit log"),
        (name = "agent", description = "What agents say and hear"),
        (name = "server", description = "The server's own health")
    ),
    components(schemas(
        restic_manager_shared::wire::problem::Problem,
        restic_manager_shared::wire::problem::FieldError
    ))
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let bearer = |format: &str, text: &str| {
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format).description(Some(text)).build(),
            )
        };
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("bearer", bearer("opaque", "An API token: restic-manager token add"));
        components.add_security_scheme("agent", bearer("JWT", "Signed by the agent's own key, good for minutes"));
    }
}

/// Registers every operation of the contract.
pub fn contract(config: &mut ServiceConfig<'_>) {
    config
        .service(health::healthz)
        .service(health::readyz)
        .service(scope("/agent/v1").configure(agents))
        .service(scope("/api/v1").configure(fleet).configure(repositories).configure(work).configure(releases));
}

fn agents(config: &mut ServiceConfig<'_>) {
    config
        .service(agent::enroll)
        .service(agent::poll_host)
        .service(agent::tell_fire)
        .service(agent::claim_job)
        .service(agent::report_chunk)
        .service(agent::report_snapshots)
        .service(agent::finish_job)
        .service(agent::recall_job)
        .service(agent::answer_query)
        .service(agent::releases::fetch_release);
}

/// Hosts and what they should do.
fn fleet(config: &mut ServiceConfig<'_>) {
    config
        .service(api::hosts::list_hosts)
        .service(api::hosts::get_host)
        .service(api::hosts::update_host)
        .service(api::hosts::delete_host)
        .service(api::hosts::list_schedules)
        .service(api::hosts::create_schedule)
        .service(api::hosts::list_snapshots)
        .service(api::snapshots::list_all_snapshots)
        .service(api::hosts::list_host_jobs)
        .service(api::hosts::run_host)
        .service(api::hosts::put_credential)
        .service(api::hosts::remove_credential)
        .service(api::hosts::freeze_host)
        .service(api::hosts::thaw_host)
        .service(api::pauses::pause_host)
        .service(api::pauses::resume_host)
        .service(api::host_actions::act_on_hosts)
        .service(api::pauses::pause_schedule)
        .service(api::pauses::resume_schedule)
        .service(api::schedules::preview_schedule)
        // Or other methods of this path would be taken for those of a schedule called "preview".
        .route("/schedules/preview", web::to(|| ready(not_allowed("POST"))))
        .service(api::schedules::get_schedule)
        .service(api::schedules::update_schedule)
        .service(api::schedules::delete_schedule)
        .service(api::schedules::run_schedule)
        .service(api::schedules::dry_run_schedule)
        .service(api::enrollment::create_enrollment_token);
}

/// Where backups go, and what is in there.
fn repositories(config: &mut ServiceConfig<'_>) {
    config
        .service(api::repositories::list_repositories)
        .service(api::repositories::create_repository)
        .service(api::repositories::get_repository)
        .service(api::repositories::update_repository)
        .service(api::repositories::delete_repository)
        .service(api::repositories::init_repository)
        .service(api::repositories::refresh_snapshots)
        .service(api::repositories::vouch_for_snapshots)
        .service(api::repositories::list_repository_snapshots)
        .service(api::repositories::list_credentials)
        .service(api::repositories::list_backends)
        .service(api::upkeep::get_maintenance)
        .service(api::upkeep::put_maintenance)
        .service(api::upkeep::run_maintenance)
        .service(api::upkeep::list_locks)
        .service(api::upkeep::look_at_locks)
        .service(api::upkeep::get_health)
        .service(api::upkeep::list_samples)
        .service(api::upkeep::preview_retention)
        .service(api::upkeep::carry_out_retention)
        .service(api::upkeep::rotate_password)
        .service(api::upkeep::create_account)
        .service(api::files::list_folder)
        .service(api::files::search_files)
        .service(api::files::list_versions)
        .service(api::changes::list_changes)
        .service(api::changes::download_changes)
        .service(api::recovery::list_recovery_kits)
        .service(api::recovery::make_recovery_kit);
}

/// Releases of the agent.
fn releases(config: &mut ServiceConfig<'_>) {
    config
        .service(api::releases::list_releases)
        .service(api::releases::create_release)
        .service(api::releases::upload_release_file)
        .service(api::releases::download_release)
        .service(api::releases::withdraw_release)
        .service(api::releases::get_rollout)
        .service(api::releases::start_rollout)
        .service(api::releases::pause_rollout)
        .service(api::releases::resume_rollout)
        .service(api::releases::advance_rollout)
        .service(api::releases::roll_back)
        .service(api::releases::retry_update);
}

/// What was done, what is to be known, and who may.
fn work(config: &mut ServiceConfig<'_>) {
    config
        .service(api::alerts::list_alerts)
        .service(api::alerts::acknowledge_alert)
        .service(api::alerts::reopen_alert)
        .service(api::alerts::list_deliveries)
        .service(api::channels::list_channels)
        .service(api::channels::create_channel)
        .service(api::channels::get_channel)
        .service(api::channels::update_channel)
        .service(api::channels::delete_channel)
        .service(api::channels::test_channel)
        .service(api::channels::send_summary)
        .service(api::channels::list_channel_deliveries)
        .service(api::drills::list_drills)
        .service(api::drills::download_drills)
        .service(api::drills::get_host_drills)
        .service(api::drills::list_drilled_files)
        .service(api::search::search_all)
        .service(api::fleet::get_fleet)
        .service(api::jobs::list_jobs)
        .service(api::jobs::request_job)
        .service(api::jobs::list_operations)
        .service(api::jobs::get_job)
        .service(api::jobs::cancel_job)
        .service(api::jobs::watch_job)
        .service(api::admin::get_settings)
        .service(api::admin::put_settings)
        .service(api::admin::list_users)
        .service(api::admin::create_user)
        .service(api::admin::update_user)
        .service(api::admin::sign_out_user)
        .service(api::admin::delete_user)
        .service(api::admin::list_api_tokens)
        .service(api::admin::create_api_token)
        .service(api::admin::revoke_api_token)
        .service(api::audit::list_audit_events)
        .service(api::audit::download_audit_events);
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> OpenApi {
    let (_, document) = App::new().into_utoipa_app().openapi(Document::openapi()).configure(contract).split_for_parts();
    document
}

/// The document as it is committed and served.
///
/// # Errors
/// Never in practice; a value that does not serialise.
pub fn document_text() -> Result<String, serde_json::Error> {
    Ok(document().to_pretty_json()? + "\n")
}

fn methods(item: &PathItem) -> Vec<&'static str> {
    [
        ("GET", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, there)| there.then_some(name))
    .collect()
}

/// Answers what no operation takes: 405 with `Allow` for a known path, else 404.
pub fn fallback() -> impl Fn(HttpRequest) -> Ready<HttpResponse> + Clone + Send + 'static {
    let table: Arc<Vec<(ResourceDef, String)>> = Arc::new(
        document()
            .paths
            .paths
            .iter()
            .map(|(path, item)| (ResourceDef::new(path.as_str()), methods(item).join(", ")))
            .collect(),
    );
    move |req| {
        ready(match table.iter().find(|(path, _)| path.is_match(req.path())) {
            Some((_, allow)) => not_allowed(allow),
            None => answer(&problem(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address", None)),
        })
    }
}

fn not_allowed(allow: &str) -> HttpResponse {
    let hint = "See /api/docs for what it takes.".to_owned();
    let title = "This path does not take that method";
    let mut response = answer(&problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", title, Some(hint)));
    if let Ok(allow) = header::HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}
