//! What a person looks for in names: a part of one, or a glob. Pure.

use std::borrow::Cow;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    glob: Vec<char>,
    match_case: bool,
    /// For a whole path instead of a name.
    path: bool,
    /// For a whole name; else any part of it.
    whole: bool,
}

impl Pattern {
    /// With `*`, `?` or `[...]` for a whole name, else for a part of one; with a `/` for a whole path.
    #[must_use]
    pub fn new(text: &str, match_case: bool) -> Self {
        let path = text.contains('/');
        let whole = path || text.contains(['*', '?', '[']);
        let text = lower(text, match_case);
        Self { glob: text.chars().collect(), text: text.into_owned(), match_case, path, whole }
    }

    /// Whether it is held against whole paths.
    #[must_use]
    pub const fn is_for_paths(&self) -> bool {
        self.path
    }

    /// Whether it fits.
    #[must_use]
    pub fn matches(&self, name: &str, path: &str) -> bool {
        let subject = lower(if self.path { path } else { name }, self.match_case);
        if self.whole { fits(&self.glob, &subject.chars().collect::<Vec<_>>()) } else { subject.contains(&self.text) }
    }
}

fn lower(text: &str, match_case: bool) -> Cow<'_, str> {
    let as_it_is = match_case || (text.is_ascii() && !text.bytes().any(|b| b.is_ascii_uppercase()));
    if as_it_is { Cow::Borrowed(text) } else { Cow::Owned(text.chars().flat_map(char::to_lowercase).collect()) }
}

/// A `*` stays within a name, `**` does not. Goes back to the last star only, so the time is bounded by the product of the lengths.
fn fits(pattern: &[char], subject: &[char]) -> bool {
    let (mut p, mut s) = (0, 0);
    let mut back: Option<(usize, usize, bool)> = None;
    while let Some(&c) = subject.get(s) {
        match pattern.get(p) {
            Some('*') => {
                let deep = pattern.get(p + 1) == Some(&'*');
                p += if deep { 2 } else { 1 };
                back = Some((p, s, deep));
                continue;
            }
            Some('?') if c != '/' => {
                (p, s) = (p + 1, s + 1);
                continue;
            }
            Some('[') if c != '/' => {
                if let Some((true, next)) = class(pattern, p, c) {
                    (p, s) = (next, s + 1);
                    continue;
                }
            }
            Some(want) if *want == c => {
                (p, s) = (p + 1, s + 1);
                continue;
            }
            Some(_) | None => {}
        }
        match back {
            Some((after, at, deep)) if deep || subject.get(at) != Some(&'/') => {
                (p, s) = (after, at + 1);
                back = Some((after, at + 1, deep));
            }
            Some(_) | None => return false,
        }
    }
    pattern.get(p..).is_none_or(|rest| rest.iter().all(|c| *c == '*'))
}

/// Whether a character is in the class that begins here, and where the pattern goes on. None if it is not closed: then `[` fits nothing.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let mut n = at + 1;
    let negated = matches!(pattern.get(n), Some('!' | '^'));
    n += usize::from(negated);
    let (mut inside, first) = (false, n);
    loop {
        let low = *pattern.get(n)?;
        if low == ']' && n > first {
            return Some((inside != negated, n + 1));
        }
        let high = match (pattern.get(n + 1), pattern.get(n + 2)) {
            (Some('-'), Some(high)) if *high != ']' => Some(*high),
            _ => None,
        };
        n += if high.is_some() { 3 } else { 1 };
        inside |= (low..=high.unwrap_or(low)).contains(&c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths() {
        for (pattern, path, fits) in [
            ("note", "/srv/My Notes.txt", true),
            ("nota", "/srv/My Notes.txt", false),
            ("*.txt", "/srv/My Notes.txt", true),
            ("*.TXT", "/srv/My Notes.txt", true),
            ("*.txt", "/srv/notes.txt.bak", false),
            ("?otes.txt", "/srv/notes.txt", true),
            ("[a-n]otes*", "/srv/notes.txt", true),
            ("[!a-n]otes*", "/srv/notes.txt", false),
            ("[]x]y", "/srv/]y", true),
            ("a*b*c", "/srv/aXbXbc", true),
            ("/srv/*/x", "/srv/a/x", true),
            ("/srv/*/x", "/srv/a/b/x", false),
            ("/srv/**/x", "/srv/a/b/x", true),
            ("**", "/srv/a", true),
            ("[", "/srv/[", false),
            ("\u{1f600}", "/srv/\u{1f600} smile", true),
        ] {
            let name = path.rsplit('/').next().unwrap_or_default();
            assert_eq!(Pattern::new(pattern, false).matches(name, path), fits, "{pattern} {path}");
        }
        assert!(!Pattern::new("Note", true).matches("note", "/note"));
        let hostile = "*a".repeat(60) + "b";
        assert!(!Pattern::new(&hostile, true).matches(&"a".repeat(4000), "/"), "and is soon done with");
    }
}
