//! Releases and roll-outs from the form to the agent's poll: the form works without script and takes only what was signed, each host is
//! offered what its stage says, files go out from any offset, failures are told, and what people typed or agents said is escaped.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, COOKIE};
use restic_manager_shared::release::SigningKey;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::release::{TARGET, binary, bring_file, idle, offered, poll, signed};
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};

/// Text in every place that takes text.
const HOSTILE: &str = "<script>alert(1)</script>\"'{{ 7 * 7 }}&amp;\u{202e}ü";

async fn upload(anna: &Visitor<'_>, csrf: &str, signed: &str, file: &[u8]) -> (u16, String) {
    let part = |name: &str, file: bool| {
        let named = if file { "; filename=\"x\"\r\nContent-Type: application/octet-stream" } else { "" };
        format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"{named}\r\n\r\n")
    };
    let head = [part("csrf", false), csrf.into(), "\r\n".into(), part("notes", false), HOSTILE.into(), "\r\n".into()];
    let mut body = head.concat().into_bytes();
    body.extend([part("signed", true), signed.into(), "\r\n".into(), part("file", true)].concat().into_bytes());
    body.extend(file);
    body.extend(b"\r\n--edge--\r\n");
    let request = anna.server.http.post(format!("{}/settings/releases/add", anna.server.url));
    let request = request.header(COOKIE, &anna.cookie).header(CONTENT_TYPE, "multipart/form-data; boundary=edge");
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn csrf(anna: &Visitor<'_>) -> String {
    let page = anna.open("/settings/releases").await.text;
    page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned()
}

#[tokio::test]
async fn the_form_takes_only_what_was_signed_and_only_from_our_own_page() {
    let server = ControlPlane::start();
    let (anna, eve) = (Visitor::sign_in(&server, "admin").await, Visitor::sign_in(&server, "operator").await);
    let empty = anna.open("/settings/releases").await;
    assert!(empty.status == 200 && empty.text.contains("There is no release"), "{}", empty.text);
    assert_eq!(eve.open("/settings/releases").await.status, 403);
    let (key, token) = (SigningKey::generate().unwrap(), csrf(&anna).await);
    let good = serde_json::to_string(&signed(&key, "0.2.0")).unwrap();
    let (file, mut other) = (binary("0.2.0"), binary("0.2.0"));
    other[7] ^= 1;
    for (csrf, signed, file, status, said) in [
        ("wrong", good.as_str(), &file, 403, "did not come from this site"),
        (&token, "{}", &file, 422, "restic-manager release sign wrote"),
        (&token, &good.replace("0.2.0", "0.9.0"), &file, 422, "signature does not match"),
        (&token, &good, &other, 422, "SHA-256 differs"),
        (&token, &good, &[file.clone(), b"more".to_vec()].concat(), 422, "has more than"),
        (&token, &good, &file[..100].to_vec(), 422, "100 bytes instead of"),
    ] {
        let (answered, text) = upload(&anna, csrf, signed, file).await;
        assert_eq!(answered, status, "{said}: {text}");
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(anna.open("/settings/releases").await.text.contains("File missing"), "the signature waits for its file");
    let left: Vec<_> = std::fs::read_dir(server.dir.path().join("releases")).unwrap().collect();
    assert!(left.is_empty(), "nothing is left of what was refused: {left:?}");
    assert_eq!(upload(&anna, &token, &good, &file).await.0, 303);
    let page = anna.open("/settings/releases").await.text;
    assert!(page.contains("Ready") && page.contains("0.2.0") && !page.contains("<script>alert"), "{page}");
    assert_eq!(upload(&anna, &token, &good, &file).await.0, 303, "the same once more is the same");

    // Whoever adds a host takes the program from here.
    let href = format!("/api/v1/releases/0.2.0/{TARGET}/file");
    let add = eve.open("/hosts/add").await.text;
    assert!(add.contains(&format!("href=\"{href}\"")) && add.contains("SHA-256"), "{add}");
    let got = server.http.get(format!("{}{href}", server.url)).header(COOKIE, &eve.cookie).send().await.unwrap();
    assert!(got.headers()["content-disposition"].to_str().unwrap().contains("restic-manager-agent"), "{got:?}");
    assert_eq!(got.bytes().await.unwrap(), file);
    assert_eq!(server.http.get(format!("{}{href}", server.url)).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn hosts_are_offered_what_their_stage_says() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let anna = Visitor::sign_in(&server, "admin").await;
    let (first, second) = (server.host(&admin, "one", &["/etc"]).await, server.host(&admin, "two", &["/etc"]).await);
    let tagged = json!({"name": "one", "tags": ["canary"]});
    let (status, told) = server.call(&admin, Method::PUT, &format!("/api/v1/hosts/{}", first.host), tagged).await;
    assert_eq!(status, 200, "{told}");
    let key = SigningKey::generate().unwrap();
    let no_file = server.post(&admin, "/api/v1/rollout", json!({"version": "0.2.0"})).await;
    assert_eq!((no_file.0, &no_file.1["code"]), (404, &json!("release_not_found")), "{}", no_file.1);
    let (status, made) = server.post(&admin, "/api/v1/releases", json!({"signed": signed(&key, "0.2.0")})).await;
    assert_eq!((status, &made["has_file"]), (201, &json!(false)), "{made}");
    bring_file(&server, &admin, "0.2.0").await;
    assert_eq!(offered(&first, "0.1.0", idle()).await, None, "nothing is rolled out yet");

    let started = [
        ("version", "0.2.0"),
        ("tag_0", "canary"),
        ("percent_0", "0"),
        ("healthy_0", "1"),
        ("hours_0", "1"),
        ("percent_1", "100"),
    ];
    assert_eq!(
        anna.submit("/settings/releases/rollout", &[("version", "0.2.0"), ("percent_0", "50")]).await.status,
        422
    );
    let asked = anna.submit("/settings/releases/rollout", &started).await;
    assert!(asked.status == 200 && asked.text.contains("Roll 0.2.0 out?"), "it is asked about: {}", asked.text);
    assert!(asked.text.contains("hosts with the tag canary, then 100 % of all hosts"), "{}", asked.text);
    assert_eq!(offered(&first, "0.1.0", idle()).await, None, "what was only asked about is not done");
    let begun = anna.submit("/settings/releases/rollout", &[started.as_slice(), &[("sure", "1")]].concat()).await;
    assert_eq!(begun.status, 303, "{}", begun.text);
    assert_eq!(offered(&first, "0.1.0", idle()).await.as_deref(), Some("0.2.0"));
    assert_eq!(offered(&second, "0.1.0", idle()).await, None, "not in the stage");
    assert_eq!(offered(&first, "0.2.0", idle()).await, None, "has it");
    assert_eq!(offered(&first, "0.1.0", json!({"target": "linux-riscv64"})).await, None, "no release for its platform");
    assert_eq!(offered(&first, "0.1.0", json!({"target": TARGET, "cannot": "no_key"})).await, None);
    assert_eq!(
        poll(&first, ("0.1.0", Value::Null), 1).await.release,
        None,
        "an agent of old does not know of releases"
    );
    let knows = json!({"target": TARGET, "wanted": "0.2.0", "phase": "fetching"});
    assert_eq!(
        offered(&first, "0.1.0", knows.clone()).await.as_deref(),
        Some("0.2.0"),
        "in each answer while it holds"
    );

    for path in [
        "/settings/releases",
        "/settings/releases/advance",
        "/settings/releases/roll-back",
        "/hosts",
        "/settings/releases/0.2.0/linux-x86_64/withdraw",
    ] {
        let page = anna.open(path).await;
        assert_eq!((page.status, page.html), (200, true), "{path}: {}", page.text);
    }
    assert!(anna.open("/hosts").await.text.contains("0.2.0 is fetched"), "the list of hosts says so");
    assert_eq!(anna.submit("/settings/releases/pause", &[]).await.status, 303);
    assert_eq!(offered(&first, "0.1.0", knows).await, None, "what was offered is taken back");
    assert_eq!(anna.submit("/settings/releases/resume", &[]).await.status, 303);
    assert_eq!(anna.submit("/settings/releases/advance", &[]).await.status, 303);
    assert_eq!(offered(&second, "0.1.0", idle()).await.as_deref(), Some("0.2.0"), "the next stage");
    let back = anna.submit("/settings/releases/roll-back", &[]).await;
    assert!(back.status == 409 && back.text.contains("nothing to go back to"), "{}", back.text);

    // Where it did not work it is not offered again by itself, and people are told.
    let failed = json!({"target": TARGET, "failed": {"version": "0.2.0", "error": HOSTILE, "at": Timestamp::now()}});
    assert_eq!(offered(&second, "0.1.0", failed.clone()).await, None);
    let mut page = String::new();
    for _ in 0..100 {
        page = anna.open("/ui/settings/releases/live").await.text;
        if page.contains("Updates that did not work") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    for page in [page, anna.open("/settings/releases").await.text] {
        assert!(page.contains("Let it try again") && !page.contains("<script>alert"), "{page}");
    }
    assert!(anna.open(&format!("/hosts/{}", second.host)).await.text.contains("update to 0.2.0 failed"));
    assert_eq!(anna.submit(&format!("/settings/releases/hosts/{}/retry", second.host), &[]).await.status, 303);
    let resumed = anna.submit("/settings/releases/resume", &[]).await.status;
    assert!(matches!(resumed, 303 | 409), "it may not have stopped yet");
    assert_eq!(offered(&second, "0.1.0", failed).await.as_deref(), Some("0.2.0"), "a person said so");
    assert_eq!(anna.submit(&format!("/settings/releases/0.2.0/{TARGET}/withdraw"), &[]).await.status, 303);
    assert_eq!(offered(&second, "0.1.0", idle()).await, None, "withdrawn");
    let again = server.post(&admin, "/api/v1/releases", json!({"signed": signed(&key, "0.2.0")})).await;
    assert_eq!((again.0, &again.1["code"]), (409, &json!("release_exists")), "{}", again.1);
}

#[tokio::test]
async fn a_file_goes_out_whole_and_from_any_offset() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "one", &["/etc"]).await;
    let key = SigningKey::generate().unwrap();
    assert_eq!(server.post(&admin, "/api/v1/releases", json!({"signed": signed(&key, "0.2.0")})).await.0, 201);
    let path = format!("/agent/v1/releases/0.2.0/{TARGET}");
    let get = |range: Option<&str>| {
        let request = server.request(Method::GET, &path, Some(&agent.token())).header("accept-encoding", "gzip");
        range.map_or(request.try_clone().unwrap(), |range| request.header("range", range)).send()
    };
    assert_eq!(get(None).await.unwrap().status().as_u16(), 404, "its file is not there yet");
    let whole = binary("0.2.0");
    let put = server.request(Method::PUT, &format!("/api/v1/releases/0.2.0/{TARGET}/file"), Some(&admin));
    assert_eq!(put.body(whole.clone()).send().await.unwrap().status().as_u16(), 200);
    let end = whole.len();
    for (range, status, from) in [
        (None, 200, 0),
        (Some("bytes=0-"), 206, 0),
        (Some("bytes=100000-"), 206, 100_000),
        (Some(&*format!("bytes={}-", end - 1)), 206, end - 1),
    ] {
        let answer = get(range).await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{range:?}");
        let told = answer.headers().get("content-range").map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(told, range.map(|_| format!("bytes {from}-{}/{end}", end - 1)), "{range:?}");
        assert_eq!(answer.headers().get("content-length").unwrap(), &(end - from).to_string(), "{range:?}");
        assert!(answer.bytes().await.unwrap() == whole[from..], "{range:?}");
    }
    assert_eq!(get(Some(&format!("bytes={end}-"))).await.unwrap().status().as_u16(), 416);
    let odd = server.request(Method::GET, "/agent/v1/releases/..%2f..%2fmaster.key/linux-x86_64", Some(&agent.token()));
    assert_eq!(odd.send().await.unwrap().status().as_u16(), 404);
}
