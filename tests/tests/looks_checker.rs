//! What measures pages finds what it should: a page with one fault of each kind fails each check, and a plain one fails none.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::browser::Browser;
use restic_manager_tests::looks::{self, Wrong};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A page with a fault of each kind. `OTHER` is the same server under another name.
const BAD: &str = "<!doctype html><html><head><meta charset=utf-8><title>Bad</title><link rel=icon href=data:,><link rel=stylesheet href=/style></head><body>
<script>document.title = 'refused by the policy'</script><img src=/missing><img src=http://OTHER/ok alt=other>
<main><h1>One</h1><h1>Two</h1><div class=broad>broad</div><p class=faint>hard to read</p><div class=clip>clipped words that go on</div>
<div class=low>one<br>two<br>three</div><p class=stack>abcdefgh</p><div class=box><div class=broad>scrolls</div></div>
<button></button><input placeholder=faint aria-label=named class=faint><i id=twin></i><i id=twin></i><a href=#nowhere>leads</a>
<label for=none>label</label><p aria-describedby=none>said</p></main></body></html>";
const BAD_STYLE: &str = "body{margin:0;background:#fff;color:#000;font:16px/20px sans-serif} .broad{width:3000px}
    .faint,.faint::placeholder{color:#bbb;opacity:1} .clip{width:50px;overflow:hidden;white-space:nowrap} .low{height:20px;width:200px;overflow:hidden}
    .stack{width:10px;overflow-wrap:anywhere} .box{width:100px;overflow-x:auto}";

/// A page without a fault.
const GOOD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8><title>Good</title><meta name=viewport content='width=device-width'>
<link rel=icon href=data:,><link rel=stylesheet href=/fine></head><body><main><h1>One</h1><p id=said>Words that <a href=#said>can be read</a></p>
<button aria-describedby=said>Press</button></main></body></html>";
const GOOD_STYLE: &str =
    "body{background:#fff;color:#000} a{color:#00c;text-decoration:underline} button{color:#000;background:#eee}";

fn answer(path: &str, other: &str) -> String {
    let (status, kind, body) = match path {
        "/bad" => ("200 OK", "text/html", BAD.replace("OTHER", other)),
        "/good" => ("200 OK", "text/html", GOOD.to_owned()),
        "/style" => ("200 OK", "text/css", BAD_STYLE.to_owned()),
        "/fine" => ("200 OK", "text/css", GOOD_STYLE.to_owned()),
        "/ok" => ("200 OK", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>".to_owned()),
        _ => ("404 Not Found", "text/plain", String::new()),
    };
    let policy = "default-src 'none'; style-src 'self'; img-src * data:";
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-security-policy: {policy}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// A server of these pages; its port.
async fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let asked = String::from_utf8_lossy(&head[..read]).into_owned();
                let path = asked.split(' ').nth(1).unwrap_or("/");
                let _ = stream.write_all(answer(path, &format!("localhost:{port}")).as_bytes()).await;
            });
        }
    });
    port
}

async fn all(browser: &Browser, url: &str) -> Wrong {
    browser.page.goto(url).await.unwrap();
    let mut wrong = looks::complaints(browser, 200).await;
    wrong.extend(looks::colours(browser).await);
    wrong.extend(looks::names(browser).await);
    wrong.extend(looks::geometry(browser, &[820]).await);
    wrong
}

#[tokio::test]
async fn each_fault_is_found_and_a_good_page_has_none() {
    let port = serve().await;
    let browser = Browser::start(true).await;
    looks::prepare(&browser).await;
    let bad = all(&browser, &format!("http://127.0.0.1:{port}/bad")).await;
    let tokens = looks::tokens(&browser).await;
    for fault in [
        "Content Security Policy",
        "404",
        "asks another server",
        "contrast 1.",
        "has no name: <button>",
        "the id twin is there twice",
        "a link leads nowhere: #nowhere",
        "for points nowhere: none",
        "aria-describedby points nowhere: none",
        "2 headings",
        "no title or no language",
        "axe image-alt",
        "the page scrolls sideways",
        "sticks out of the page",
        "is clipped,",
        "is clipped below",
        "letters stand one below the other",
        "has to be scrolled sideways",
    ] {
        assert!(bad.iter().any(|w| w.contains(fault)), "{fault} is not found in:\n{}", bad.join("\n"));
    }
    assert!(
        bad.iter().any(|w| w.contains("<input") && w.contains("contrast")),
        "a placeholder is text too:\n{}",
        bad.join("\n")
    );
    assert!(tokens.iter().any(|w| w.contains("token --ok-g on --surface")), "{tokens:?}");
    // Another status than what is expected is a fault, too.
    browser.page.goto(&format!("http://127.0.0.1:{port}/missing")).await.unwrap();
    let missing = looks::complaints(&browser, 200).await;
    assert!(missing.iter().any(|w| w.starts_with("answered with 404")), "{missing:?}");
    let good = all(&browser, &format!("http://127.0.0.1:{port}/good")).await;
    assert_eq!(good, Wrong::new());
    browser.end().await;
}
