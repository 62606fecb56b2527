//! A real Chromium, driven by WebDriver. However a test ends, nothing of it runs on.

use crate::control::ControlPlane;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a page may take to show what is waited for. A limit against hanging, not a measure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of those who are signed in.
pub const PASSWORD: &str = "correct horse battery";

pub struct Browser {
    driver: Child,
    pub page: Client,
    profile: TempDir,
    script: bool,
}

/// How a browser is set.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Whether it runs JavaScript.
    pub script: bool,
    /// The size of text that its user has chosen, in pixels; 16 is the usual.
    pub text: u32,
}

/// What WebDriver has no word for: an end point of chromedriver, and what it is told.
#[derive(Debug)]
struct Extra(&'static str, Value);

impl WebDriverCompatibleCommand for Extra {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

/// Starts the driver in a process group of its own, and answers its port.
fn driver() -> (Child, u16) {
    let mut driver = Command::new("chromedriver")
        .args(["--port=0"])
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed by ./deploy/test");
    let mut log = BufReader::new(driver.stdout.take().unwrap());
    let mut line = String::new();
    let port = loop {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "chromedriver ended early");
        if let Some((_, port)) = line.trim().trim_end_matches('.').split_once("successfully on port ") {
            break port.parse().unwrap();
        }
    };
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    (driver, port)
}

/// Whether it comes true while one has patience. WebDriver tells of no event: it has to be asked.
async fn soon(is_so: impl AsyncFn() -> bool) -> bool {
    for _ in 0..600 {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

impl Browser {
    /// A fresh browser, with or without JavaScript.
    pub async fn start(script: bool) -> Self {
        Self::start_with(Settings { script, text: 16 }).await
    }

    /// A fresh browser with these settings.
    pub async fn start_with(settings: Settings) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (driver, port) = driver();
        let profile = TempDir::new().unwrap();
        let data_dir = format!("--user-data-dir={}", profile.path().display());
        let mut args = vec![
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--window-size=1440,1000",
        ];
        args.push(&data_dir);
        let javascript = if settings.script { 1 } else { 2 };
        let prefs = json!({
            "profile.managed_default_content_settings.javascript": javascript,
            "webkit.webprefs.default_font_size": settings.text,
        });
        let wanted = json!({
            "goog:chromeOptions": {"args": args, "prefs": prefs},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self { driver, page, profile, script: settings.script }
    }

    /// Tells the browser something in the words of the DevTools protocol.
    pub async fn tell(&self, command: &str, params: Value) -> Value {
        let body = json!({"cmd": command, "params": params});
        self.page.issue_cmd(Extra("goog/cdp/execute", body)).await.unwrap_or_else(|e| panic!("{command}: {e}"))
    }

    /// What the browser has complained about since it was last asked: refused by the policy, not found, thrown.
    pub async fn complaints(&self) -> Vec<String> {
        let said = self.page.issue_cmd(Extra("se/log", json!({"type": "browser"}))).await.unwrap();
        let worth = |e: &&Value| matches!(e["level"].as_str(), Some("SEVERE" | "WARNING"));
        said.as_array().unwrap().iter().filter(worth).map(|e| e["message"].as_str().unwrap().to_owned()).collect()
    }

    /// What an expression is worth on the page.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.page.execute(&script, vec![]).await.unwrap_or_else(|e| panic!("{expression}: {e}"))
    }

    /// Waits until an expression is true on the page.
    pub async fn until(&self, expression: &str) {
        // A page that is just being left has no value.
        let script = format!("return ({expression})");
        let is_true = async || self.page.execute(&script, vec![]).await.is_ok_and(|v| v == json!(true));
        assert!(soon(is_true).await, "{expression} never comes true:\n{}", self.text().await);
    }

    /// Presses keys, wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        self.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Gives the window this size, whatever the desktop would allow.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Adds a user of that name and role at the server's command line, and signs them in on the way to a page.
    pub async fn sign_in_as(&self, control: &ControlPlane, (name, role): (&str, &str), path: &str) {
        let mut add = control.tool(&["user", "add", name, "--role", role]);
        assert!(add.env("RESTIC_MANAGER_PASSWORD", PASSWORD).status().unwrap().success());
        self.sign_in(control, (name, PASSWORD), path).await;
    }

    /// Signs a user in on the way to a page.
    pub async fn sign_in(&self, control: &ControlPlane, (name, password): (&str, &str), path: &str) {
        self.page.goto(&format!("{}{path}", control.url)).await.unwrap();
        self.fill("name", name).await;
        self.fill("password", password).await;
        self.follow("Sign in").await;
    }

    pub async fn fill(&self, name: &str, value: &str) {
        let field = self.wait(&format!("[name={name}]")).await;
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// Waits for an element to be there.
    pub async fn wait(&self, css: &str) -> fantoccini::elements::Element {
        match self.page.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(e) => panic!("{css} does not appear: {e}\n{}", self.text().await),
        }
    }

    /// Presses the button or link with that text inside `main`. Without script each of them leads to a page, which is waited for.
    pub async fn press(&self, text: &str) {
        if self.script { self.click(text).await } else { self.follow(text).await }
    }

    async fn click(&self, text: &str) {
        let path = format!("//main//*[self::button or self::a][contains(normalize-space(.), {text:?})]");
        match self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await {
            Ok(element) => element.click().await.unwrap(),
            Err(e) => panic!("nothing to press says {text}: {e}\n{}", self.text().await),
        }
    }

    /// Presses what leads to another page, and waits until that is there: what is filled in next, or looked for, may be on both.
    pub async fn follow(&self, text: &str) {
        let before = self.wait("html").await;
        self.click(text).await;
        assert!(soon(async || before.tag_name().await.is_err()).await, "{text} leads nowhere:\n{}", self.text().await);
    }

    /// Waits until the page's main part holds the text.
    pub async fn sees(&self, text: &str) {
        let path = format!("//main[contains(normalize-space(.), {text:?})]");
        if let Err(e) = self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await {
            panic!("the page never says {text}: {e}\n{}", self.text().await);
        }
    }

    /// Loads the page again until it holds the text: what a person without JavaScript does.
    pub async fn reload_until(&self, text: &str) {
        for _ in 0..600 {
            if self.text().await.contains(text) {
                return;
            }
            self.page.refresh().await.unwrap();
        }
        panic!("the page never says {text}:\n{}", self.text().await);
    }

    pub async fn text(&self) -> String {
        let Ok(main) = self.page.find(Locator::Css("main, body")).await else { return String::new() };
        main.text().await.unwrap_or_default()
    }

    pub async fn end(self) {
        let _ = self.page.clone().close().await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.driver.wait();
        // Chromium may have left the group; nothing else names the profile.
        for pid in naming(self.profile.path()) {
            let _ = Command::new("kill").args(["-KILL", &pid]).stderr(Stdio::null()).status();
        }
    }
}

/// The processes whose command line names a folder.
fn naming(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let Ok(all) = std::fs::read_dir("/proc") else { return vec![] };
    all.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().into_string().ok().filter(|n| n.bytes().all(|b| b.is_ascii_digit()))?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        String::from_utf8_lossy(&line).contains(&*folder).then_some(pid)
    })
    .collect()
}
