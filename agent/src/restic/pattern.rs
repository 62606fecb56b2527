//! Paths of a snapshot as patterns that match them and nothing else, for the files that restic's `--include-file` reads and for its
//! `--include`. Pure.
//!
//! restic reads such a file line by line: it cuts spaces at both ends, takes `#` for a comment and `$` for a variable, and what is left
//! is a glob. Two things cannot be said exactly: a line's end, and a byte that is not UTF-8, which restic's own listing has replaced by
//! U+FFFD. For these stands `?`, which may match another name of the same length beside it.

/// A line for a file of patterns.
#[must_use]
pub fn line(path: &str) -> String {
    let last = path.chars().count().saturating_sub(1);
    let mut out = String::with_capacity(path.len() + 8);
    for (n, c) in path.chars().enumerate() {
        match c {
            '$' => out.push_str("$$"),
            '\n' | '\r' => out.push('?'),
            c if n == last && c.is_whitespace() => out.extend(['[', c, ']']),
            c => glob(c, &mut out),
        }
    }
    out
}

/// A pattern for the command line.
#[must_use]
pub fn word(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 8);
    path.chars().for_each(|c| glob(c, &mut out));
    out
}

/// Whether the pattern may match other names too.
#[must_use]
pub fn is_loose(path: &str) -> bool {
    path.contains(['\u{fffd}', '\n', '\r'])
}

fn glob(c: char, out: &mut String) {
    match c {
        '\u{fffd}' => out.push('?'),
        '*' | '?' | '[' => out.extend(['[', c, ']']),
        // On Windows it is no character of a name, and Go takes it for no escape.
        '\\' if cfg!(unix) => out.push_str("\\\\"),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_to_restic_is_taken_literally() {
        for (path, in_file, as_word) in [
            ("/srv/plain name", "/srv/plain name", "/srv/plain name"),
            ("/a*b?c[d]", "/a[*]b[?]c[[]d]", "/a[*]b[?]c[[]d]"),
            ("/cost $HOME", "/cost $$HOME", "/cost $HOME"),
            ("/ends with space ", "/ends with space[ ]", "/ends with space "),
            ("/new\nline", "/new?line", "/new\nline"),
            ("/bad\u{fffd}byte", "/bad?byte", "/bad?byte"),
            ("/-dash/#no comment/!not", "/-dash/#no comment/!not", "/-dash/#no comment/!not"),
        ] {
            assert_eq!((line(path).as_str(), word(path).as_str()), (in_file, as_word));
        }
        #[cfg(unix)]
        assert_eq!(line("/back\\slash"), "/back\\\\slash");
        assert!(is_loose("/new\nline") && !is_loose("/plain*"));
    }
}
