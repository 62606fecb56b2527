//! Refusals as pages tell them, and where to go from there. Titles and details of the rules that say no are the API's contract: they stand beside
//! the rules (`service::Refusal`, `domain`'s field errors), in English for programs, and pages show them as they are. A translation puts its own
//! sentences here, by the stable code of the problem, and leaves the contract alone.

/// No page has this address.
pub const NOT_FOUND: &str = "There is nothing at this address";
/// The page takes no such request.
pub const METHOD_NOT_ALLOWED: &str = "This address does not take that";
/// More was sent than a page takes.
pub const TOO_LARGE: &str = "The form is too large";
/// Anything else.
pub const OTHER: &str = "This did not work";
/// What to do where nothing better is known.
pub const START_AGAIN: &str = "Check the address, or start again from the dashboard.";
/// A way on: to the job that is in the way.
pub const TO_RUNNING_JOB: &str = "Open the job that runs";
/// A way on.
pub const TO_HOST: &str = "Back to the host";
/// A way on.
pub const TO_REPOSITORY: &str = "Back to the repository";
/// A way on.
pub const TO_JOB: &str = "Back to the job";
/// A way on.
pub const TO_DASHBOARD: &str = "Dashboard";
