//! API tokens, as pages say them.

/// Where a question about one came from.
pub const TOKENS: &str = "API tokens";
/// What the button says.
pub const REVOKE: &str = "Revoke";

/// The question.
#[must_use]
pub fn revoke(name: &str) -> String {
    format!("Revoke the token {name}?")
}

/// What it means; `role` is what the token may do.
#[must_use]
pub fn revoke_means(role: &str, by: &str) -> Vec<String> {
    vec![
        format!(
            "It has the role {role} and was made by {by}. From now on it is refused: scripts that use it stop working."
        ),
        "It cannot be given back. A new token can be made here.".into(),
    ]
}
