//! A question about a repository before something is done to it: what it does, who does it, or why it cannot be done.

use super::super::engine::Page;
use serde::Serialize;

/// A question, and where its answer goes.
#[derive(Debug, Serialize)]
pub struct QuestionPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The tab that it came from: the end of its address, and its name.
    pub tab: (&'static str, &'static str),
    /// The question.
    pub title: String,
    /// What it does, and what not.
    pub words: Vec<String>,
    /// Why it cannot be done.
    pub refused: Option<&'static str>,
    /// Where the answer goes.
    pub action: String,
    /// What goes with it.
    pub fields: Vec<(&'static str, String)>,
    /// What the button says.
    pub button: String,
    /// Whether it takes something away.
    pub danger: bool,
}

impl Page for QuestionPage {
    const TEMPLATE: &'static str = "pages/repository-ask.html";
    const NAV: &'static str = "repositories";
}
