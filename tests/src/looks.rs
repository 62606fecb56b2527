//! What a page looks like, measured in a real browser: that nothing sticks out or is clipped, that text can be read, that controls have
//! names, that nothing is refused or asked of other servers, and what axe-core finds. `measure.js` measures; this decides when.

use crate::browser::Browser;
use crate::tools::root;
use serde_json::{Value, json};

/// The widths that pages are made for, in pixels: small and usual phones, where tables have just stopped to be cards, tablets, small, usual
/// and large desktops.
pub const WIDTHS: [u32; 7] = [320, 390, 801, 820, 1100, 1440, 1920];

/// What is wrong with a page, in words.
pub type Wrong = Vec<String>;

/// Has the browser bring what measures to each page that it opens.
pub async fn prepare(browser: &Browser) {
    let axe = root().join(".cache/axe/package/axe.min.js");
    let axe = std::fs::read_to_string(&axe)
        .unwrap_or_else(|e| panic!("{}: {e}: run ./deploy/test, which fetches it", axe.display()));
    for source in [axe.as_str(), include_str!("measure.js")] {
        browser.tell("Page.addScriptToEvaluateOnNewDocument", json!({"source": source})).await;
    }
}

async fn measured(browser: &Browser, what: &str) -> Wrong {
    let script = format!("return Promise.resolve(window.looks.{what})");
    let found = browser.page.execute(&script, vec![]).await.unwrap_or_else(|e| panic!("{what}: {e}"));
    let Value::Array(found) = found else { panic!("{what}: {found}") };
    found.iter().map(|f| f.as_str().unwrap().to_owned()).collect()
}

/// What sticks out or is clipped on the open page at these widths, with the usual font and with a wide one.
pub async fn geometry(browser: &Browser, widths: &[u32]) -> Wrong {
    let mut wrong = vec![];
    for width in widths {
        browser.resize(*width, 900).await;
        let usual = measured(browser, "geometry()").await;
        let set = "document.documentElement.style.setProperty('--sans', '\"DejaVu Sans\"')";
        browser.page.execute(set, vec![]).await.unwrap();
        let wide = measured(browser, "geometry()").await;
        browser.page.execute("document.documentElement.style.removeProperty('--sans')", vec![]).await.unwrap();
        let new = wide.iter().filter(|w| !usual.contains(w)).map(|w| format!("{width} px, wide font: {w}"));
        let told = usual.iter().map(|w| format!("{width} px: {w}"));
        wrong.extend(told.chain(new));
    }
    wrong
}

/// What cannot be read on the open page, in the theme that it has.
pub async fn colours(browser: &Browser) -> Wrong {
    measured(browser, "colours()").await
}

/// Which pairs of the theme's own colours cannot be told apart: those of text, and those of pictures and edges.
pub async fn tokens(browser: &Browser) -> Wrong {
    measured(browser, "tokens()").await
}

/// What the open page lacks for those who do not see it.
pub async fn names(browser: &Browser) -> Wrong {
    let mut wrong = measured(browser, "names()").await;
    wrong.extend(measured(browser, "axes()").await);
    wrong
}

/// What the browser has complained about, and what the open page has loaded from elsewhere or in vain. A page that tells of an error is
/// one that the browser complains about: its own address is no fault then.
pub async fn complaints(browser: &Browser, status: u16) -> Wrong {
    let here = browser.page.current_url().await.unwrap();
    let own =
        |said: &String| status >= 400 && said.starts_with(here.as_str()) && said.contains("Failed to load resource");
    let mut wrong: Wrong = browser.complaints().await.into_iter().filter(|said| !own(said)).collect();
    wrong.extend(measured(browser, "loaded()").await);
    let answered = browser.value("performance.getEntriesByType('navigation')[0].responseStatus").await;
    if answered != json!(status) {
        wrong.push(format!("answered with {answered}, not {status}"));
    }
    wrong
}

/// Opens a page and says which theme it is to have by the cookie that the server reads.
pub async fn theme(browser: &Browser, theme: &str) {
    let cookie = format!("document.cookie = 'rm_theme={theme}; path=/; samesite=lax'");
    browser.page.execute(&cookie, vec![]).await.unwrap();
}
