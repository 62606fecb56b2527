//! What is wrong with what was typed or chosen on a page, beside its field. What services and rules find wrong is the API's contract and comes with
//! their errors.

/// The name is used already.
#[must_use]
pub fn taken(what: &str) -> String {
    format!("another {what} is called that")
}

/// Something is wrong with one of many lines.
#[must_use]
pub fn in_line(n: usize, detail: &str) -> String {
    format!("Line {n}: {detail}")
}

/// There is no such host.
#[must_use]
pub fn no_host(text: &str) -> String {
    format!("there is no host {text}")
}

/// There is no such state.
#[must_use]
pub fn no_state(text: &str) -> String {
    format!("there is no state {text}")
}

/// There is no such repository.
pub const NO_REPOSITORY: &str = "there is no such repository";

/// A folder of the other system.
#[must_use]
pub fn folder_of_windows(host: &str, proposed: &str) -> String {
    format!("{host} runs Windows: a folder there begins with a drive, such as {proposed}")
}

/// A folder of the other system.
#[must_use]
pub fn folder_of_linux(host: &str, proposed: &str) -> String {
    format!("{host} runs Linux: a folder there begins with /, such as {proposed}")
}

/// A form that is not one.
#[must_use]
pub fn unreadable_form(why: &impl std::fmt::Display) -> String {
    format!("the form could not be read: {why}")
}

/// A number that may be left out.
pub const NUMBER: &str = "A whole number, or empty";
/// A number that is needed.
pub const WHOLE_NUMBER: &str = "A whole number";
/// A choice that is not offered.
pub const CHOOSE_ONE: &str = "Choose one of the list";
/// A choice that is not offered, after the name of its field.
pub const CHOOSE_ONE_HERE: &str = "choose one of the list";
/// No repository is named.
pub const REPOSITORY: &str = "Choose a repository";
/// No host is named.
pub const HOST: &str = "Choose a host";
/// No place to restore to is named.
pub const PLACE: &str = "Choose a place";
/// In place, on Windows.
pub const NOT_IN_PLACE: &str = "On Windows, files come back below another folder, not in their original place";
/// A restore over files that are there.
pub const TICK_REPLACE: &str = "Tick below that files on the host may change. Nothing was done.";
/// No policy is named.
pub const OVERWRITE: &str = "Choose what becomes of files that are there";
/// A preview needs one.
pub const PLACE_FIRST: &str = "choose a place first";
/// A restore that its preview does not allow.
pub const PREVIEW_SAYS_NO: &str = "The preview has not found that it can be done.";
/// A form that is not ours.
pub const FIELD_TOO_LONG: &str = "a field of the form is too long";
/// A form that is not ours.
pub const FIELD_NOT_TEXT: &str = "a field of the form is not text";
/// A release without its file.
pub const BINARY: &str = "choose the binary";
/// A release without its manifest.
pub const SIGNED: &str = "choose the file that restic-manager release sign wrote";
/// A release whose file comes before its manifest.
pub const SIGNATURE_FIRST: &str = "choose the signature first";
/// A recovery kit.
pub const PASSPHRASE: &str = "Type a passphrase, or tick that the kit may be readable";
/// A recovery kit.
pub const EITHER: &str = "Either a passphrase or this";
/// A recovery kit.
pub const PASSPHRASES_DIFFER: &str = "The two passphrases differ";
/// The first user.
pub const PASSWORDS_DIFFER: &str = "The two passwords differ";
/// The end of a pause.
pub const TIME: &str = "A day and a time, such as 2026-12-24T18:00";
/// The end of a pause.
pub const UNTIL: &str = "Choose until when";
/// A day.
pub const DAY: &str = "a day such as 2026-11-19";
/// A day that may be left out.
pub const DAY_OR_EMPTY: &str = "A day such as 2027-01-31, or empty";
/// What is to be compared.
pub const TWO_REPOSITORIES: &str =
    "The two are in different repositories; restic compares within one. Tick two of one repository.";
/// What is to be compared.
pub const TICK_TWO: &str = "Nothing was compared: tick two to compare, or one to see what it changed.";
/// What is to be compared.
pub const NO_EARLIER: &str =
    "There is no earlier snapshot of the same host and schedule to compare with. Tick two to compare them.";
/// What is to be compared.
pub const TWO_HOSTS: &str =
    "Each host has a repository of its own here; restic compares within one. Tick two of the same host.";
/// Nothing is ticked in a list of snapshots.
pub const TICK_SNAPSHOTS: &str = "Nothing was done: tick the snapshots that are meant first.";
/// A setting of a credential.
pub const NEEDED_BY_STORAGE: &str = "The storage does not work without it";
/// No host is ticked.
pub const TICK_HOSTS: &str = "tick the hosts that are meant first";
/// Nothing is chosen.
pub const ACT: &str = "choose what to do";
/// An operation that there is not.
pub const NO_OPERATION: &str = "not an operation";
/// An operation that has no form.
pub const NOT_ASKED_HERE: &str = "not an operation that is asked for here";
/// A task.
pub const UNREADABLE: &str = "could not be read";
/// A task.
pub const OTHER_REPOSITORY: &str = "is about another repository";
/// No role is named.
pub const ROLE: &str = "Choose a role";
/// Deleting a user.
pub const SURE: &str = "Tick that it is meant";
/// How long a token is good.
pub const DAYS: &str = "A number of days, or nothing";
/// A path in a snapshot.
pub const PATH: &str = "the path as the snapshot has it, from / on";
/// A host that is added.
pub const PATHS: &str = "Name at least one path";
/// A quota.
pub const SIZE: &str = "A size such as 500G or 6T, or empty";
/// An act of the audit log.
pub const NO_ACT: &str =
    "an act's code such as host.update, its beginning such as host, or changes, restores or sign-ins";
/// A text that the audit log is searched for.
pub const AUDIT_TEXT: &str = "at most 200 characters";
/// A zone.
pub const ZONE: &str = "a time zone such as Europe/Berlin or UTC";
/// A number.
pub const TOO_MUCH: &str = "That is too much";
/// Snapshots that are to be forgotten.
pub const NOTHING_SELECTED: &str = "retention selects none of these now; look at the preview again";
/// A restore of nothing.
pub const SNAPSHOT: &str = "choose a snapshot";
