//! The contract: the committed document is the one that the code makes, and each operation in it refuses strangers, lesser roles and
//! other hosts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use control::http::routes;
use reqwest::Method;
use restic_manager_shared::id::JobId;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};

/// Operations that no identity is needed for. It only shrinks.
const OPEN: [&str; 3] = ["enroll", "healthz", "readyz"];

struct Operation {
    id: String,
    method: Method,
    path: String,
    role: String,
    schemes: Vec<String>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&routes::document_text().unwrap()).unwrap();
    let mut found = vec![];
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(m, _)| *m != "parameters") {
            let text = |v: &Value| {
                v.as_str().unwrap_or_else(|| panic!("{method} {path} lacks a field: {operation}")).to_owned()
            };
            found.push(Operation {
                id: text(&operation["operationId"]),
                method: method.to_uppercase().parse().unwrap(),
                path: path
                    .replace("{id}", &JobId::new().to_string())
                    .replace("{repository_id}", &JobId::new().to_string()),
                role: text(&operation["x-role"]),
                schemes: operation["security"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .flat_map(|s| s.as_object().unwrap().keys().cloned())
                    .collect(),
            });
        }
    }
    assert!(found.len() > 30, "the document holds only {} operations", found.len());
    found
}

async fn try_with(server: &ControlPlane, operation: &Operation, token: Option<&str>) -> u16 {
    let mut request = server.request(operation.method.clone(), &operation.path, token);
    if operation.method != Method::GET {
        request = request.json(&json!({}));
    }
    request.send().await.unwrap().status().as_u16()
}

#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == routes::document_text().unwrap(),
        "openapi/openapi.json is not what the code makes: run `cargo run --bin restic-manager -- openapi > openapi/openapi.json`"
    );
}

#[test]
fn the_committed_table_of_operations_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    assert!(
        std::fs::read_to_string(path).unwrap() == control::domain::operation::markdown(),
        "docs/operations.md is not what the code makes: run `cargo run --bin restic-manager -- operations > docs/operations.md`"
    );
}

#[tokio::test]
async fn every_operation_refuses_strangers_and_lesser_roles() {
    let server = ControlPlane::start();
    let (viewer, operator, admin) = (server.token("viewer"), server.token("operator"), server.token("admin"));
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    for operation in operations() {
        let Operation { id, role, schemes, .. } = &operation;
        if OPEN.contains(&id.as_str()) {
            assert!(schemes.is_empty(), "{id} is open but says {schemes:?}");
            continue;
        }
        assert_eq!(try_with(&server, &operation, None).await, 401, "{id} without identity");
        assert_eq!(try_with(&server, &operation, Some("rma_wrong")).await, 401, "{id} with a wrong token");
        let (scheme, refused): (&str, Vec<(&str, u16)>) = match role.as_str() {
            "viewer" => ("bearer", vec![("agent", 401)]),
            "operator" => ("bearer", vec![("viewer", 403), ("agent", 401)]),
            "admin" => ("bearer", vec![("viewer", 403), ("operator", 403), ("agent", 401)]),
            "agent" => ("agent", vec![("viewer", 401), ("admin", 401)]),
            other => panic!("{id} has the unknown role {other}"),
        };
        assert_eq!(schemes, &[scheme], "{id}");
        for (who, status) in refused {
            let token = match who {
                "viewer" => viewer.clone(),
                "operator" => operator.clone(),
                "admin" => admin.clone(),
                _ => agent.token(),
            };
            assert_eq!(try_with(&server, &operation, Some(&token)).await, status, "{id} as {who}");
        }
    }
}

#[tokio::test]
async fn an_agent_speaks_only_for_its_own_host() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let (mut mine, other) =
        (server.host(&admin, "mine", &["/etc"]).await, server.host(&admin, "other", &["/etc"]).await);
    let (status, answer) = server.post(&admin, &format!("/api/v1/hosts/{}/run", mine.host), Value::Null).await;
    assert_eq!(status, 202, "{answer}");
    let offer = mine.poll(&[], 5).await.offers.remove(0);
    let claim = json!({"attempt": offer.attempt});
    let path = |act: &str| format!("/agent/v1/jobs/{}/{act}", offer.id);
    for (act, body) in [
        ("claim", claim.clone()),
        ("chunks", json!({"attempt": 1, "seq": 1})),
        (
            "finish",
            json!({"attempt": 1, "end": "succeeded", "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:00Z"}),
        ),
    ] {
        let (status, answer) = other.post(&path(act), body).await;
        assert_eq!((status, answer["code"].as_str()), (404, Some("job_not_found")), "{act}");
    }
    assert_eq!(mine.post(&path("claim"), claim).await.0, 200);
    let stranger = FakeAgent::new(&server);
    let (status, answer) = stranger.post("/agent/v1/poll", stranger.poll_body(&[], 1)).await;
    assert_eq!((status, answer["code"].as_str()), (401, Some("agent_unknown")));
}

#[tokio::test]
async fn a_method_that_a_path_does_not_take_is_told_with_those_that_it_takes() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    for (method, path, allow) in [
        (Method::PUT, "/api/v1/schedules/preview", "POST"),
        (Method::DELETE, "/api/v1/hosts", "GET"),
        (Method::GET, "/agent/v1/fires", "POST"),
    ] {
        let answer = server.request(method.clone(), path, Some(&admin)).json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 405, "{method} {path}");
        assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
    }
}
