//! Users, API tokens and the audit log, as an administrator uses them in a real browser, without script.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::visitor::Visitor;
use serde_json::json;

async fn choose(browser: &Browser, role: &str) {
    browser.wait(&format!("input[name=role][value={role}]")).await.click().await.unwrap();
}

#[tokio::test]
async fn people_and_scripts_are_let_in_and_shut_out() {
    let control = ControlPlane::start();
    let (anna, ben) = (Browser::start(false).await, Browser::start(false).await);
    anna.sign_in_as(&control, ("anna", "admin"), "/settings/users").await;
    anna.fill("name", "ben").await;
    anna.fill("password", "short").await;
    choose(&anna, "operator").await;
    anna.press("Add user").await;
    anna.sees("One field needs a change: password").await;
    anna.fill("password", "paper staple river").await;
    anna.press("Add user").await;
    anna.sees("User added").await;
    ben.sign_in(&control, ("ben", "paper staple river"), "/settings/users").await;
    ben.sees("Your role does not allow this").await;

    // Shut out: signed out at once.
    anna.press("Edit ben").await;
    anna.wait("input[name=disabled]").await.click().await.unwrap();
    anna.press("Save").await;
    anna.sees("shut out").await;
    ben.page.goto(&format!("{}/hosts", control.url)).await.unwrap();
    ben.wait("input[name=password]").await;

    // Nobody shuts the last administrator out.
    anna.press("Edit anna").await;
    choose(&anna, "viewer").await;
    anna.press("Save").await;
    anna.sees("An administrator has to be left").await;

    anna.page.goto(&format!("{}/settings/tokens", control.url)).await.unwrap();
    anna.fill("name", "a script").await;
    anna.fill("expires_in_days", "30").await;
    choose(&anna, "viewer").await;
    anna.press("Make token").await;
    let token = anna.wait("#tok").await.text().await.unwrap();
    let status = async || control.call(&token, Method::GET, "/api/v1/hosts", json!(null)).await.0;
    assert_eq!(status().await, 200);
    anna.press("Revoke… a script").await;
    anna.sees("Revoke the token a script?").await;
    anna.press("Revoke").await;
    anna.sees("refused from now on").await;
    assert_eq!(status().await, 401);

    anna.page.goto(&format!("{}/settings/audit", control.url)).await.unwrap();
    for said in ["Revoked an API token", "a script", "Changed a user", "ben", "Unbroken"] {
        anna.sees(said).await;
    }
    anna.end().await;
    ben.end().await;
}

/// Sent twice, by a double click or by loading the page again.
#[tokio::test]
async fn a_form_makes_one_token_however_often_it_is_sent() {
    let control = ControlPlane::start();
    let admin = Visitor::sign_in(&control, "admin").await;
    let page = admin.open("/settings/tokens").await.text;
    let key = page.split("name=\"key\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let form = [("key", key), ("name", "a script"), ("role", "viewer"), ("expires_in_days", "")];
    let first = admin.submit("/settings/tokens", &form).await;
    assert!(first.status == 200 && first.text.contains("rma_"), "{}", first.text);
    let second = admin.submit("/settings/tokens", &form).await;
    assert!(second.text.contains("This form has made its token already"), "{}", second.text);
    let list = admin.open("/settings/tokens").await.text;
    assert_eq!(list.matches("/revoke\"").count(), 1, "{list}");
    assert!(list.contains("not yet"), "nobody has used it: {list}");
}

#[tokio::test]
async fn a_script_does_the_same() {
    let control = ControlPlane::start();
    let admin = control.token("admin");
    let call = async |method: Method, path: &str, body| control.call(&admin, method, path, body).await;
    let user = |name: &str, role: &str| json!({"name": name, "password": "paper staple river", "role": role});
    let (status, made) = call(Method::POST, "/api/v1/users", user("anna", "admin")).await;
    assert_eq!(status, 201, "{made}");
    let anna = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    let (status, refused) = call(Method::DELETE, &anna, json!(null)).await;
    assert_eq!((status, &refused["code"]), (409, &json!("last_admin")), "{refused}");
    let (_, made) = call(Method::POST, "/api/v1/users", user("ben", "viewer")).await;
    let ben = format!("/api/v1/users/{}", made["id"].as_str().unwrap());
    let (status, changed) = call(Method::PATCH, &ben, json!({"role": "admin"})).await;
    assert_eq!((status, &changed["role"]), (200, &json!("admin")), "{changed}");
    assert_eq!(call(Method::POST, &format!("{ben}/sign-out"), json!(null)).await.0, 204);
    assert_eq!(call(Method::DELETE, &anna, json!(null)).await.0, 204);
    let (_, left) = call(Method::GET, "/api/v1/users", json!(null)).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1, "{left}");
    let input = json!({"name": "short", "role": "viewer", "expires_in_days": 0});
    assert_eq!(call(Method::POST, "/api/v1/api-tokens", input).await.0, 422);
    let (_, tokens) = call(Method::GET, "/api/v1/api-tokens", json!(null)).await;
    assert!(tokens["items"][0]["last_used_at"].is_string(), "{tokens}");
    let (prefix, from) = (&tokens["items"][0]["prefix"], &tokens["items"][0]["last_used_from"]);
    assert!(prefix.as_str().is_some_and(|p| p.len() == 9 && admin.starts_with(p)) && from == "127.0.0.1", "{tokens}");
    let own = tokens["items"][0]["id"].as_str().unwrap();
    assert_eq!(call(Method::DELETE, &format!("/api/v1/api-tokens/{own}"), json!(null)).await.0, 204);
    assert_eq!(call(Method::GET, "/api/v1/users", json!(null)).await.0, 401, "what is taken back is refused");
}
