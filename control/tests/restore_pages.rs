//! The restore wizard and the comparison of snapshots as a browser without script gets them: a page comes at once, says what would happen, and nobody
//! is led to a dead end.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::{Answer, Visitor};
use serde_json::{Value, json};

fn id(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

/// A host with two snapshots, the first the newer, and a second host that runs Windows.
struct Setup {
    server: ControlPlane,
    agent: FakeAgent,
    windows: FakeAgent,
    repository: String,
}

/// A host of an operating system.
async fn host(server: &ControlPlane, admin: &str, name: &str, os: &str, path: &str) -> FakeAgent {
    let repositories = server.get(admin, "/api/v1/repositories").await;
    let body = json!({"host_name": name, "initial_paths": [path], "rest_username": "u", "rest_password": "p",
        "repository_id": repositories["items"][0]["id"]});
    let (status, made) = server.post(admin, "/api/v1/enrollment-tokens", body).await;
    assert_eq!(status, 201, "{made}");
    let mut agent = FakeAgent::new(server);
    let mut enroll = agent.enroll_body(made["token"].as_str().unwrap());
    enroll["facts"]["os"] = json!(os);
    let (status, answer) = agent.send("/agent/v1/enroll", None, &enroll).await;
    assert_eq!(status, 200, "{answer}");
    agent.host = answer["host_id"].as_str().unwrap().parse().unwrap();
    agent.control = answer["control_id"].as_str().unwrap().parse().unwrap();
    agent
}

impl Setup {
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
        let windows = host(&server, &admin, "win-01", "windows", "C:\\Users").await;
        let repositories = server.get(&admin, "/api/v1/repositories").await;
        let repository = repositories["items"][0]["id"].as_str().unwrap().to_owned();
        for n in [2, 1] {
            let (status, _) = server.post(&admin, &format!("/api/v1/hosts/{}/run", agent.host), Value::Null).await;
            assert_eq!(status, 202);
            let snapshot =
                json!({"id": id(n), "time": Timestamp::now(), "hostname": "web-01", "paths": ["/etc"], "tags": []});
            let report = json!({"summary": {"snapshot_id": id(n)}, "snapshots": [snapshot]});
            finish(&mut agent, report).await;
        }
        Self { server, agent, windows, repository }
    }

    /// Begins a restore of the newer snapshot, and answers its address.
    async fn begin(&self, visitor: &Visitor<'_>, paths: &[&str]) -> String {
        let pick = format!("{} {}", self.repository, id(1));
        let mut form = vec![("pick", pick.as_str())];
        form.extend(paths.iter().map(|path| ("tick", *path)));
        let answer = visitor.submit("/restore", &form).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        answer.location.rsplit_once('/').unwrap().0.to_owned()
    }
}

/// Opens a page and has the agent answer the questions that come of it with these, one after the other.
async fn answered(agent: &mut FakeAgent, visitor: &Visitor<'_>, path: &str, answers: &[Value]) -> Answer {
    let looks = async {
        for answer in answers {
            let query = loop {
                if let Some(query) = agent.poll(&[], 5).await.queries.pop() {
                    break query;
                }
            };
            let path = format!("/agent/v1/queries/{}/answer", query.id);
            assert_eq!(agent.post(&path, answer.clone()).await.0, 200);
        }
    };
    // With all the time that the host needs: what is tested here is not how fast this machine is.
    let path = format!("{path}{}wait=1", if path.contains('?') { '&' } else { '?' });
    tokio::join!(visitor.open(&path), looks).0
}

async fn finish(agent: &mut FakeAgent, more: Value) {
    let offer = loop {
        if let Some(offer) = agent.poll(&[], 5).await.offers.pop() {
            break offer;
        }
    };
    let job = format!("/agent/v1/jobs/{}", offer.id);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    let now = Timestamp::now();
    let mut report =
        json!({"attempt": offer.attempt, "end": "succeeded", "exit_code": 0, "started_at": now, "finished_at": now});
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, said) = agent.post(&format!("{job}/finish"), report).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test]
async fn a_folder_is_of_the_kind_that_the_host_has_which_receives_it() {
    let s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let at = s.begin(&anna, &["/etc/hosts"]).await;
    let target = format!("{at}/target");
    let page = anna.open(&target).await.text;
    assert!(page.contains("value=\"/var/tmp/restore-"), "a host that runs Linux is offered a folder of Linux: {page}");
    let (linux, windows) = (s.agent.host.to_string(), s.windows.host.to_string());
    let aim = |host: &str, place: &str, folder: &str| {
        vec![
            ("host", host.to_owned()),
            ("place", place.to_owned()),
            ("folder", folder.to_owned()),
            ("overwrite", "if_changed".to_owned()),
        ]
    };
    for (host, place, folder, wrong) in [
        (&windows, "folder", "/srv/back", Some("win-01 runs Windows")),
        (&linux, "folder", "C:\\Restore", Some("web-01 runs Linux")),
        (&windows, "original", "", Some("On Windows, files come back below another folder")),
        (&linux, "folder", "/srv/../back", Some("without .. in it")),
        (&windows, "folder", "D:\\back", None),
    ] {
        let form = aim(host, place, folder);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = anna.submit(&target, &form).await;
        match wrong {
            Some(wrong) => {
                assert_eq!(answer.status, 422, "{folder}: {}", answer.text);
                let field = if place == "original" { "place-err" } else { "folder-err" };
                assert!(answer.text.contains(wrong) && answer.text.contains(field), "{folder}: {}", answer.text);
            }
            None => assert_eq!(answer.status, 303, "{folder}: {}", answer.text),
        }
    }
    // What was proposed for the one and left as it was becomes what is proposed for the other.
    let at = s.begin(&anna, &["/etc/hosts"]).await;
    let page = anna.open(&format!("{at}/target")).await.text;
    let proposed = page.split("value=\"/var/tmp/").nth(1).unwrap().split('"').next().unwrap();
    let form = aim(&windows, "folder", &format!("/var/tmp/{proposed}"));
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(anna.submit(&format!("{at}/target"), &form).await.status, 303);
    let preview = anna.open(&format!("{at}/preview")).await.text;
    assert!(preview.contains("C:\\Restore\\"), "{preview}");
}

#[tokio::test]
async fn a_host_that_is_silent_does_not_hold_the_page() {
    let mut s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let at = s.begin(&anna, &[]).await;
    s.agent.poll(&[], 0).await;
    for path in [
        format!("{at}/files"),
        format!("/repositories/{}/changes?to={}", s.repository, id(1)),
        format!("/restore/find?host={}&find=x", s.agent.host),
    ] {
        let page = anna.open(&path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.contains("data-wait") && page.text.contains("class=\"skel"), "{path}: {}", page.text);
        assert!(page.text.contains("wait=1"), "{path} is waited for without script, too: {}", page.text);
    }
}

#[tokio::test]
async fn the_tree_opens_in_place_and_begins_where_the_snapshot_does() {
    let mut s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let at = s.begin(&anna, &["/etc/ssh/keys"]).await;
    let entry = |path: &str, kind: &str| json!({"path": path, "type": kind, "size": 2048, "permissions": ""});
    let folder =
        json!({"answer": "ready", "entries": [entry("/etc/ssh", "dir"), entry("/etc/hosts", "file")], "total": 2});
    let page = answered(&mut s.agent, &anna, &format!("{at}/files"), &[folder]).await.text;
    assert!(page.contains("name=\"path\" value=\"/etc\""), "it begins at what was backed up: {page}");
    assert!(page.contains("name=\"open\" value=\"/etc/ssh\" aria-expanded=\"false\""), "{page}");
    assert!(page.contains("partly ticked"), "{page}");
    let keys = json!({"answer": "ready", "entries": [entry("/etc/ssh/keys", "dir"), entry("/etc/ssh/x", "file")]});
    let lines = answered(
        &mut s.agent,
        &anna,
        &format!("{}/folder?path=/etc/ssh", at.replace("/restore", "/ui/restore")),
        &[keys],
    )
    .await;
    assert_eq!(lines.status, 200, "{}", lines.text);
    assert!(lines.text.starts_with("<ul>") && !lines.text.contains("<html"), "{}", lines.text);
    assert!(lines.text.contains("value=\"/etc/ssh/keys\" data-size=\"2048\" checked"), "{}", lines.text);
    // A file that was backed up by itself is seen in its folder.
    let no = json!({"answer": "refused", "code": "path_missing", "message": "no such folder"});
    let up = json!({"answer": "ready", "entries": [entry("/etc", "file")]});
    let page = answered(&mut s.agent, &anna, &format!("{at}/files"), &[no, up]).await.text;
    assert!(page.contains("name=\"path\" value=\"/\"") && page.contains("value=\"/etc\" data-size"), "{page}");
}

#[tokio::test]
async fn a_preview_names_files_room_and_count_and_asks_for_a_tick() {
    let mut s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let at = s.begin(&anna, &["/etc/hosts"]).await;
    let host = s.agent.host.to_string();
    let aim = [("host", host.as_str()), ("place", "original"), ("overwrite", "if_changed")];
    assert_eq!(anna.submit(&format!("{at}/target"), &aim).await.status, 303);
    let example = |path: &str, action: &str| json!({"path": path, "action": action, "size": 1024});
    let outcome = json!({"kind": "restore", "dry_run": true, "target": "/", "created": 716, "overwritten": 2, "kept": 1,
        "restored": 725, "bytes": 1_288_490_188, "free_bytes": 40_372_692_582_u64,
        "examples": [example("/etc/hosts", "overwrite")], "new_examples": [example("/etc/new", "create")]});
    finish(&mut s.agent, json!({"outcome": outcome})).await;
    let page = anna.open(&format!("{at}/preview")).await.text;
    for words in [
        "A restore would bring back 718 files",
        "Fits: needs 1.2 GiB, 37.6 GiB free",
        "The host’s policy allows the place",
        "2 files would be replaced",
        "Replace 2 files on web-01",
        "Restore 718 files",
        "/etc/new",
        "where they were",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let replaced = ">replaced</span><code class=\"grow brk\">/etc/hosts</code>";
    for (show, there, not_there) in [
        ("", vec![replaced, "/etc/new"], vec![]),
        ("?show=new", vec!["/etc/new"], vec![replaced]),
        ("?show=replaced", vec![replaced], vec!["/etc/new"]),
    ] {
        let page = anna.open(&format!("{at}/preview{show}")).await.text;
        assert!(page.contains(&format!("href=\"{at}/preview?show=new#files\"")), "{show}: {page}");
        for words in ["All 718</a>", "New 716</a>", "Replaced 2</a>"].iter().chain(&there) {
            assert!(page.contains(words), "{show}: {words}: {page}");
        }
        assert!(!not_there.iter().any(|words| page.contains(words)), "{show}: {page}");
        assert!(!page.contains("Deleted 0"), "nothing is deleted where that was not asked for: {page}");
    }
    let run = format!("{at}/run");
    let no = anna.submit(&run, &[]).await;
    assert_eq!(no.status, 422);
    assert!(no.text.contains("Tick below that files on the host may change"), "{}", no.text);
    let yes = anna.submit(&run, &[("sure", "1")]).await;
    assert_eq!(yes.status, 303, "{}", yes.text);
    let job = anna.open(&yes.location).await.text;
    assert!(job.contains("aria-label=\"Steps\"") && job.contains("Your restore"), "{job}");
    assert!(job.contains(&format!("/restore?host={host}")), "the step that is done leads back to the snapshots: {job}");
}

#[tokio::test]
async fn who_cannot_restore_is_told_so_and_whom_to_ask() {
    let s = Setup::new().await;
    let (anna, eve) = (Visitor::sign_in(&s.server, "operator").await, Visitor::sign_in(&s.server, "viewer").await);
    let page = anna.open("/restore").await.text;
    assert!(page.contains("type=\"radio\"") && page.contains("Today, ") && !page.contains("cannot restore"), "{page}");
    let page = eve.open("/restore").await.text;
    assert!(page.contains("cannot restore") && page.contains("Ask an operator or an administrator"), "{page}");
    assert!(!page.contains("type=\"radio\"") && page.contains("/restore/find"), "{page}");
    let none = anna.open("/restore?tag=nothing").await.text;
    assert!(none.contains("No snapshot has this tag"), "{none}");
}

#[tokio::test]
async fn changes_stand_under_their_folders_and_compare_leads_to_no_dead_end() {
    let mut s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let back = anna.open("/snapshots/compare?host=web-01").await;
    assert_eq!((back.status, back.location.as_str()), (303, "/snapshots?host=web-01&wrong=ticks"));
    let list = anna.open(&back.location).await.text;
    assert!(list.contains("tick two to compare, or one") && list.contains("role=\"alert\""), "{list}");
    assert!(list.contains(&id(1)), "the list is still there: {list}");

    let item = |path: &str, change: &str| json!({"path": path, "change": change, "before": 5, "after": 7});
    let answer = json!({"answer": "changes", "items": [item("/tmp/a/gone", "removed"), item("/tmp/b", "changed")],
        "sums": {"removed": 1, "changed": 1}});
    let path = format!("/repositories/{}/changes?from={}&to={}", s.repository, id(2), id(1));
    let page = answered(&mut s.agent, &anna, &path, &[answer]).await.text;
    let (first, second) = (page.find(">/tmp</span>").unwrap(), page.find(">/tmp/a</span>").unwrap());
    assert!(first < second && page.contains("gone"), "{page}");
    assert!(page.contains("name=\"tick\" value=\"/tmp/a/gone\""), "what is gone is had back from its row: {page}");
}

#[tokio::test]
async fn a_calendar_leads_to_the_days_that_have_snapshots() {
    let s = Setup::new().await;
    let eve = Visitor::sign_in(&s.server, "viewer").await;
    let host = s.agent.host;
    let today = Timestamp::now().to_utc().format("%Y-%m-%d").to_string();
    let page = eve.open(&format!("/restore?host={host}")).await.text;
    let link = format!("/restore?host={host}&amp;day={today}");
    assert!(page.contains(&link) && page.contains(", 2 snapshots\""), "today is a link and says how many: {page}");
    assert!(page.contains("web-01 has 2 snapshots, back to"), "{page}");
    let page = eve.open(&link.replace("&amp;", "&")).await.text;
    assert!(page.contains("aria-current=\"true\"") && page.contains(&id(1)[..8]) && page.contains("Any day"), "{page}");
    assert!(page.contains(&format!("name=\"day\" value=\"{today}\"")), "the filter keeps the day: {page}");
    let none = eve.open("/restore?day=2026-01-01").await.text;
    assert!(none.contains("No snapshot of Thu 1 Jan") && !none.contains(&id(1)[..8]), "{none}");
    assert!(none.contains("January 2026, days with snapshots"), "the month is that of the day: {none}");
    assert!(none.contains("aria-label=\"February 2026\"") && !none.contains("aria-label=\"December 2025\""), "{none}");
    let month = eve.open(&format!("/restore?day={today}&month=2025-12")).await.text;
    assert!(month.contains("December 2025, days with snapshots") && month.contains(&id(1)[..8]), "{month}");
    let wrong = eve.open("/restore?day=yesterday").await;
    assert!(wrong.status == 200 && wrong.text.contains("a day such as 2026-11-19"), "{}", wrong.text);
}

#[tokio::test]
async fn what_cannot_be_compared_leads_back_to_its_list_and_says_what_to_do() {
    let s = Setup::new().await;
    let anna = Visitor::sign_in(&s.server, "operator").await;
    let list = format!("/repositories/{}/snapshots", s.repository);
    let (first, second) = (id(2), id(1));
    let alone = "There is no earlier snapshot";
    for (way, form, to, says) in [
        (
            None,
            vec![("kind", "diff"), ("show", "attested")],
            "?show=attested&wrong=ticks",
            "tick the snapshots that are meant",
        ),
        (None, vec![("kind", "diff"), ("id", &first)], "?wrong=alone", alone),
        (Some(format!("/repositories/{}/changes?to={first}", s.repository)), vec![], "?wrong=alone", alone),
    ] {
        let answer = match way {
            Some(way) => anna.open(&way).await,
            None => anna.submit(&list, &form).await,
        };
        assert_eq!((answer.status, answer.location), (303, format!("{list}{to}")), "{}", answer.text);
        let page = anna.open(&format!("{list}{to}")).await;
        assert!(page.text.contains(says) && page.text.contains("role=\"alert\""), "{}", page.text);
        assert!(page.text.contains(&second), "the list is still there: {}", page.text);
    }
    let answer = anna.open(&format!("/snapshots/compare?host=web-01&s={}+{first}", s.repository)).await;
    assert_eq!(
        (answer.status, answer.location.as_str()),
        (303, "/snapshots?host=web-01&wrong=alone"),
        "{}",
        answer.text
    );
    assert!(anna.open(&answer.location).await.text.contains(alone));
    let answer = anna.submit(&list, &[("kind", "diff"), ("id", &second)]).await;
    assert!(answer.location.ends_with(&format!("/changes?to={second}")), "{} {}", answer.location, answer.text);
}
