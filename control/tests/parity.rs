//! Whatever a page can do, the API can: each act of a page has an operation, for the same role. Walks the pages' sources, so that a new act
//! cannot be forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use control::http::routes::document;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use utoipa::openapi::path::Operation;

/// What is done by a page's form, and the operations that do the same.
const ACTS: &[(&str, &[&str])] = &[
    ("/alerts/channels/add", &["createChannel"]),
    ("/alerts/channels/{id}/delete", &["deleteChannel"]),
    ("/alerts/channels/{id}/edit", &["updateChannel"]),
    ("/alerts/channels/{id}/summary", &["sendSummary"]),
    ("/alerts/channels/{id}/test", &["testChannel"]),
    ("/alerts/{id}/acknowledge", &["acknowledgeAlert"]),
    ("/hosts/actions", &["actOnHosts"]),
    ("/alerts/{id}/reopen", &["reopenAlert"]),
    ("/hosts/add", &["createEnrollmentToken"]),
    ("/hosts/{id}/freeze", &["freezeHost"]),
    ("/hosts/{id}/install", &["createEnrollmentToken"]),
    ("/hosts/{id}/remove", &["deleteHost"]),
    ("/hosts/{id}/pause", &["pauseHost"]),
    ("/hosts/{id}/remove", &["deleteHost"]),
    ("/hosts/{id}/resume", &["resumeHost"]),
    ("/hosts/{id}/run", &["runHost", "runSchedule", "actOnHosts"]),
    ("/hosts/{id}/schedules/new", &["createSchedule"]),
    ("/hosts/{id}/settings", &["updateHost"]),
    ("/hosts/{id}/thaw", &["thawHost"]),
    ("/jobs/{id}/cancel", &["cancelJob"]),
    ("/recovery", &["makeRecoveryKit"]),
    ("/repositories/add", &["createRepository"]),
    ("/repositories/{id}/accounts", &["createAccount"]),
    ("/repositories/{id}/delete", &["deleteRepository"]),
    ("/repositories/{id}/hosts", &["putCredential"]),
    ("/repositories/{id}/hosts/{host}/remove", &["removeCredential"]),
    ("/repositories/{id}/locks/look", &["lookAtLocks"]),
    ("/repositories/{id}/maintenance", &["putMaintenance"]),
    ("/repositories/{id}/maintenance/run", &["runMaintenance"]),
    ("/repositories/{id}/operations", &["requestJob"]),
    ("/repositories/{id}/operations/confirm", &["requestJob"]),
    ("/repositories/{id}/retention", &["carryOutRetention"]),
    ("/repositories/{id}/retention/ask", &["carryOutRetention"]),
    ("/repositories/{id}/rotate-password", &["rotatePassword"]),
    ("/repositories/{id}/settings", &["updateRepository"]),
    ("/repositories/{id}/snapshots/vouch", &["vouchForSnapshots"]),
    ("/restore/{id}/run", &["requestJob"]),
    ("/restore/{id}/target", &["requestJob"]),
    ("/schedules/{id}/delete", &["deleteSchedule"]),
    ("/schedules/{id}/edit", &["updateSchedule"]),
    ("/schedules/{id}/pause", &["pauseSchedule"]),
    ("/schedules/{id}/resume", &["resumeSchedule"]),
    ("/schedules/{id}/run", &["runSchedule", "dryRunSchedule"]),
    ("/settings/general", &["putSettings"]),
    ("/settings/releases/add", &["createRelease", "uploadReleaseFile"]),
    ("/settings/releases/advance", &["advanceRollout"]),
    ("/settings/releases/hosts/{id}/retry", &["retryUpdate"]),
    ("/settings/releases/pause", &["pauseRollout"]),
    ("/settings/releases/resume", &["resumeRollout"]),
    ("/settings/releases/roll-back", &["rollBack"]),
    ("/settings/releases/rollout", &["startRollout"]),
    ("/settings/releases/{version}/{target}/withdraw", &["withdrawRelease"]),
    ("/settings/tokens", &["createApiToken"]),
    ("/settings/tokens/{id}/revoke", &["revokeApiToken"]),
    ("/settings/users", &["createUser"]),
    ("/settings/users/{id}", &["updateUser", "signOutUser", "deleteUser"]),
    ("/welcome/host", &["createEnrollmentToken"]),
    ("/welcome/repository", &["createRepository"]),
    ("/welcome/run", &["runHost"]),
];

/// What only a page needs, and why.
const OWN: &[(&str, &str)] = &[
    ("/keys", "how it is used"),
    ("/login", "a script has a token"),
    ("/logout", "a script has a token"),
    ("/setup", "the first administrator also comes from the command line, which makes the first token"),
    ("/theme", "how it looks"),
    ("/zone", "how it looks"),
    ("/welcome/leave", "how it looks"),
    ("/repositories/{id}/snapshots", "goes on to another page"),
    ("/restore", "begins a draft of the wizard; a script sends the whole request"),
    ("/restore/{id}/files", "the draft of the wizard"),
    ("/restore/{id}/leave", "the draft of the wizard"),
];

/// What a page shows, and the operations that tell the same.
const SHOWN: &[(&str, &[&str])] = &[
    ("/", &["getFleet", "listHosts", "listJobs", "listAlerts", "listRepositories"]),
    ("/alerts", &["listAlerts", "listDeliveries"]),
    ("/alerts/channels", &["listChannels"]),
    ("/alerts/channels/{id}", &["listChannelDeliveries"]),
    ("/alerts/channels/{id}/edit", &["getChannel"]),
    ("/drills", &["listDrills"]),
    ("/hosts", &["listHosts"]),
    ("/hosts/actions", &["actOnHosts"]),
    ("/hosts/{id}", &["getHost"]),
    ("/hosts/{id}/added", &["getHost"]),
    ("/hosts/{id}/jobs", &["listHostJobs"]),
    ("/hosts/{id}/schedules", &["listSchedules"]),
    ("/hosts/{id}/settings", &["getHost", "listSchedules", "getSettings"]),
    ("/hosts/{id}/snapshots", &["listSnapshots"]),
    ("/jobs", &["listJobs"]),
    ("/jobs/{id}", &["getJob", "watchJob"]),
    ("/recovery", &["listRecoveryKits"]),
    ("/repositories", &["listRepositories"]),
    ("/repositories/{id}", &["getRepository", "getRepositoryHealth", "listRepositorySamples", "listLocks"]),
    ("/repositories/{id}/changes", &["listChanges"]),
    ("/repositories/{id}/changes/download", &["downloadChanges"]),
    ("/repositories/{id}/hosts", &["listCredentials"]),
    ("/repositories/{id}/maintenance", &["getMaintenance"]),
    ("/repositories/{id}/operations", &["listOperations"]),
    ("/repositories/{id}/retention", &["previewRetention"]),
    ("/repositories/{id}/settings", &["getRepository"]),
    ("/repositories/{id}/snapshots", &["listRepositorySnapshots"]),
    ("/restore", &["listAllSnapshots"]),
    ("/restore/find", &["searchFiles"]),
    ("/restore/versions", &["listVersions"]),
    ("/restore/{id}/files", &["listFolder"]),
    ("/restore/{id}/preview", &["getJob"]),
    ("/schedules/{id}/edit", &["getSchedule", "previewSchedule"]),
    ("/search", &["search"]),
    ("/settings/audit", &["listAuditEvents", "downloadAuditEvents"]),
    ("/settings/general", &["getSettings"]),
    ("/settings/releases", &["listReleases", "getRollout"]),
    ("/settings/tokens", &["listApiTokens"]),
    ("/settings/users", &["listUsers"]),
    ("/settings/users/{id}", &["listUsers"]),
    ("/snapshots", &["listAllSnapshots"]),
];

/// Forms that are empty, questions before an act, and ways to other pages: they show nothing of their own. `/states` is only there for tests.
const WAYS: &[&str] = &[
    "/alerts/channels/add",
    "/alerts/channels/{id}/delete",
    "/alerts/{id}/acknowledge",
    "/hosts/add",
    "/hosts/{id}/freeze",
    "/hosts/{id}/install",
    "/hosts/{id}/remove",
    "/hosts/{id}/pause",
    "/hosts/{id}/run",
    "/hosts/{id}/schedules/new",
    "/hosts/{id}/thaw",
    "/jobs/{id}/cancel",
    "/login",
    "/repositories/add",
    "/repositories/{id}/delete",
    "/repositories/{id}/hosts/{host}/remove",
    "/repositories/{id}/locks/remove",
    "/repositories/{id}/maintenance/run",
    "/repositories/{id}/rotate-password",
    "/restore/{id}/target",
    "/schedules/{id}/delete",
    "/schedules/{id}/pause",
    "/settings/releases/advance",
    "/settings/releases/roll-back",
    "/settings/releases/{version}/{target}/withdraw",
    "/settings/tokens/{id}/revoke",
    "/setup",
    "/snapshots/compare",
    "/states",
];

/// A page's route: its method, path, and the role that its handler asks for.
type Route = (String, String, Option<String>);

fn routes(folder: &Path, found: &mut Vec<Route>) {
    for entry in folder.read_dir().unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            routes(&entry.path(), found);
            continue;
        }
        let source = std::fs::read_to_string(entry.path()).unwrap();
        for (method, mark) in [("get", "#[get(\""), ("post", "#[post(\"")] {
            for after in source.split(mark).skip(1) {
                let path = after.split('"').next().unwrap().to_owned();
                let head = after.split_once("fn ").unwrap().1.split_once('{').unwrap().0;
                let role = head.split_once("Guarded<").map(|(_, r)| r.split('>').next().unwrap().to_lowercase());
                found.push((method.to_owned(), path, role));
            }
        }
    }
}

fn pages(method: &str) -> BTreeMap<String, Option<String>> {
    let mut found = vec![];
    routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/pages"), &mut found);
    assert!(found.len() > 60, "the walk finds the pages");
    let of_method = found.into_iter().filter(|(m, path, _)| m == method && !path.starts_with("/ui/"));
    of_method.map(|(_, path, role)| (path, role)).collect()
}

fn operations() -> BTreeMap<String, String> {
    let document = document();
    let role = |o: &Operation| {
        let extensions = o.extensions.as_ref()?;
        Some(serde_json::to_value(extensions).unwrap()["x-role"].as_str()?.to_owned())
    };
    let of = |item: utoipa::openapi::PathItem| {
        [item.get, item.put, item.post, item.patch, item.delete].into_iter().flatten()
    };
    let all = document.paths.paths.into_values().flat_map(of);
    all.filter_map(|o| Some((o.operation_id.clone()?, role(&o)?))).collect()
}

#[test]
fn each_act_of_a_page_has_an_operation_for_the_same_role() {
    let (operations, posts) = (operations(), pages("post"));
    let told: BTreeSet<&str> = ACTS.iter().map(|(p, _)| *p).chain(OWN.iter().map(|(p, _)| *p)).collect();
    let there: BTreeSet<&str> = posts.keys().map(String::as_str).collect();
    assert_eq!(told, there, "each act of a page is in exactly one of the tables");
    for (path, same) in ACTS {
        for operation in *same {
            let role = operations.get(*operation).unwrap_or_else(|| panic!("{path}: the API has no {operation}"));
            // One form does what several operations do; the most guarded of them is guarded by the service.
            let page = posts[*path].as_deref().unwrap_or_default();
            assert!(page == role || same.len() > 1, "{path} is for {page}, {operation} for {role}");
        }
    }
}

#[test]
fn what_a_page_shows_the_api_tells() {
    let (operations, gets) = (operations(), pages("get"));
    let told: BTreeSet<&str> = SHOWN.iter().map(|(p, _)| *p).chain(WAYS.iter().copied()).collect();
    let there: BTreeSet<&str> = gets.keys().map(String::as_str).collect();
    assert_eq!(told, there, "each page is in exactly one of the tables");
    for (path, same) in SHOWN {
        for operation in *same {
            assert!(operations.contains_key(*operation), "{path}: the API has no {operation}");
        }
    }
}
