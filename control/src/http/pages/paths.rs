//! Paths in snapshots, for people: names that cannot deceive, and the folders above one.

/// The last part of a path.
#[must_use]
pub fn last(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The folder that holds a path.
#[must_use]
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty()).unwrap_or("/")
}

/// A name without what would hide or turn around what stands beside it.
#[must_use]
pub fn visible(name: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}');
    let mut out = String::new();
    for c in name.chars() {
        if c.is_control() || turns(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// The folders above one, from the top: path and name.
#[must_use]
pub fn above(path: &str) -> Vec<(String, String)> {
    let mut all = vec![("/".to_owned(), "/".to_owned())];
    let mut so_far = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        so_far = format!("{so_far}/{part}");
        all.push((so_far.clone(), visible(part)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_so_that_they_cannot_deceive() {
        for (name, want) in
            [("a b", "a b"), ("a\nb", "a\\u{a}b"), ("gpj.\u{202e}exe", "gpj.\\u{202e}exe"), ("👩‍🚒 -ü", "👩‍🚒 -ü")]
        {
            assert_eq!(visible(name), want);
        }
        assert_eq!(
            above("/srv/a"),
            [("/".into(), "/".into()), ("/srv".into(), "srv".into()), ("/srv/a".into(), "a".into())]
        );
        assert_eq!((last("/srv/a/"), last("/")), ("a", ""));
        assert_eq!((folder_of("/srv/a"), folder_of("/srv")), ("/srv", "/"));
    }
}
