//! A browser without script: it keeps a session's cookie, opens pages and sends their forms.

use crate::control::ControlPlane;
use reqwest::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};

const PASSWORD: &str = "correct horse battery";

/// A signed-in browser without script.
pub struct Visitor<'a> {
    pub server: &'a ControlPlane,
    pub cookie: String,
}

fn posted(server: &ControlPlane, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = server.http.post(format!("{}{path}", server.url));
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

/// What the server answered.
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub html: bool,
    pub policy: String,
    pub text: String,
}

impl<'a> Visitor<'a> {
    pub async fn sign_in(server: &'a ControlPlane, role: &str) -> Self {
        let mut add = server.tool(&["user", "add", role, "--role", role]);
        assert!(add.env("RESTIC_MANAGER_PASSWORD", PASSWORD).status().unwrap().success());
        let form = [("name", role), ("password", PASSWORD), ("next", "/jobs")];
        let answer = posted(server, "/login", &form).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()[LOCATION]), (303, &"/jobs".parse().unwrap()));
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        Self { server, cookie: cookie.split(';').next().unwrap().to_owned() }
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Answer {
        let answer = request.header(COOKIE, &self.cookie).send().await.unwrap();
        let header =
            |name| answer.headers().get(name).map(|v| v.to_str().unwrap_or_default().to_owned()).unwrap_or_default();
        Answer {
            status: answer.status().as_u16(),
            location: header(LOCATION),
            html: header(CONTENT_TYPE).starts_with("text/html"),
            policy: header(CONTENT_SECURITY_POLICY),
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn open(&self, path: &str) -> Answer {
        self.answer(self.server.http.get(format!("{}{path}", self.server.url))).await
    }

    pub async fn send(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.answer(posted(self.server, path, form)).await
    }

    /// Sends a form with the token that its page carries.
    pub async fn submit(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let page = self.open("/hosts").await.text;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let mut form = form.to_vec();
        form.push(("csrf", csrf));
        self.send(path, &form).await
    }
}
