//! A real Chromium, driven by WebDriver.

use crate::control::ControlPlane;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a page may take to show what is waited for. A limit against hanging, not a measure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The password of those who are signed in.
const PASSWORD: &str = "correct horse battery";

pub struct Browser {
    driver: Child,
    pub page: Client,
    _profile: TempDir,
}

impl Browser {
    /// A fresh browser, with or without JavaScript.
    pub async fn start(script: bool) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed by ./deploy/test");
        let mut log = BufReader::new(driver.stdout.take().unwrap());
        let mut line = String::new();
        let port: u16 = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "chromedriver ended early");
            if let Some((_, port)) = line.trim().trim_end_matches('.').split_once("successfully on port ") {
                break port.parse().unwrap();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
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
            "--window-size=1440,1000",
        ];
        args.push(&data_dir);
        let javascript = if script { 1 } else { 2 };
        let wanted = json!({
            "goog:chromeOptions": {"args": args, "prefs": {"profile.managed_default_content_settings.javascript": javascript}},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let page = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("Chromium starts");
        Self { driver, page, _profile: profile }
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
        self.press("Sign in").await;
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

    /// Presses the button or link with that text inside `main`.
    pub async fn press(&self, text: &str) {
        let path = format!("//main//*[self::button or self::a][contains(normalize-space(.), {text:?})]");
        match self.page.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await {
            Ok(element) => element.click().await.unwrap(),
            Err(e) => panic!("nothing to press says {text}: {e}\n{}", self.text().await),
        }
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
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
