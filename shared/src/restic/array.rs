//! A JSON array that comes in pieces, cut into its elements: some of restic's lists are one line of a hundred megabytes. Knows brackets
//! and strings, and nothing of what the elements mean.

/// What a piece of the stream amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A line without its end.
    Line(Vec<u8>),
    /// An array begins: what comes next are its elements.
    Begin,
    /// One element.
    Element(Vec<u8>),
}

/// Cuts a stream into lines, and lines that are arrays into elements.
#[derive(Debug)]
pub struct Cutter {
    limit: usize,
    arrays: bool,
    held: Vec<u8>,
    any: bool,
    depth: u32,
    in_text: bool,
    escaped: bool,
}

impl Cutter {
    /// Of a line or an element, what goes beyond `limit` bytes is dropped.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, arrays: true, held: Vec::new(), any: false, depth: 0, in_text: false, escaped: false }
    }

    /// As [`Cutter::new`], but every line is a line, whatever it begins with.
    #[must_use]
    pub fn lines(limit: usize) -> Self {
        Self { arrays: false, ..Self::new(limit) }
    }

    /// Takes bytes in and gives what is complete.
    pub fn feed(&mut self, bytes: &[u8], mut piece: impl FnMut(Piece)) {
        for byte in bytes {
            if self.depth == 0 { self.outside(*byte, &mut piece) } else { self.inside(*byte, &mut piece) }
        }
    }

    /// The stream has ended: what is held was its last line.
    pub fn end(&mut self, mut piece: impl FnMut(Piece)) {
        if self.depth == 0 && self.any {
            piece(Piece::Line(self.take()));
        }
    }

    fn outside(&mut self, byte: u8, piece: &mut impl FnMut(Piece)) {
        match byte {
            b'\n' => piece(Piece::Line(self.take())),
            b'[' if self.arrays && self.held.is_empty() => {
                self.depth = 1;
                self.any = false;
                self.held.push(byte);
            }
            _ => self.hold(byte),
        }
    }

    /// The bracket that opens is held until it is clear that this is an array and not a line such as `[0:03] 45.23%`.
    fn inside(&mut self, byte: u8, piece: &mut impl FnMut(Piece)) {
        if self.held == b"[" {
            match byte {
                b'{' | b'"' | b'[' | b']' => {
                    self.held.clear();
                    piece(Piece::Begin);
                }
                b'\n' => {
                    self.depth = 0;
                    return piece(Piece::Line(self.take()));
                }
                _ => {
                    self.depth = 0;
                    return self.hold(byte);
                }
            }
        }
        self.element(byte, piece);
    }

    fn element(&mut self, byte: u8, piece: &mut impl FnMut(Piece)) {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = byte == b'\\' && !self.escaped;
            return self.hold(byte);
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return self.complete(piece);
                }
            }
            b',' if self.depth == 1 => return self.complete(piece),
            b'\n' | b'\r' | b' ' if self.depth == 1 => return,
            _ => {}
        }
        self.hold(byte);
    }

    fn complete(&mut self, piece: &mut impl FnMut(Piece)) {
        let element = self.take();
        if !element.is_empty() {
            piece(Piece::Element(element));
        }
    }

    fn hold(&mut self, byte: u8) {
        self.any = true;
        if self.held.len() < self.limit {
            self.held.push(byte);
        }
    }

    fn take(&mut self) -> Vec<u8> {
        self.any = false;
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(limit: usize, parts: &[&str]) -> Vec<String> {
        let mut cutter = Cutter::new(limit);
        let mut out = Vec::new();
        let mut piece = |p| {
            out.push(match p {
                Piece::Line(l) => format!("line {}", String::from_utf8_lossy(&l)),
                Piece::Begin => "begin".to_owned(),
                Piece::Element(e) => String::from_utf8_lossy(&e).into_owned(),
            });
        };
        parts.iter().for_each(|p| cutter.feed(p.as_bytes(), &mut piece));
        cutter.end(&mut piece);
        out
    }

    #[test]
    fn arrays_become_elements_and_lines_stay_lines() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["a\nb"], &["line a", "line b"]),
            (&["[]\n"], &["begin", "line "]),
            (
                &["[{\"a\":[1,2]},{\"b", "\":\"],\\\"}\"}]\nx\n"],
                &["begin", "{\"a\":[1,2]}", "{\"b\":\"],\\\"}\"}", "line ", "line x"],
            ),
            (&["[0:03] 45.23%  12 / 26 packs\n"], &["line [0:03] 45.23%  12 / 26 packs"]),
            (&["[", "{}]"], &["begin", "{}"]),
            (&["\n\n"], &["line ", "line "]),
            (&["["], &[]),
            (&["[\n", "x"], &["line [", "line x"]),
        ];
        for (parts, want) in cases {
            assert_eq!(cut(1000, parts), want, "{parts:?}");
        }
        assert_eq!(cut(3, &["abcdef\n[{\"long\":1},{}]\n"]), ["line abc", "begin", "{\"l", "{}", "line "]);
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_changes_nothing(text in "[\\[\\]{}\",:\\\\a0 \n]{0,60}", at in 0_usize..60) {
            let at = at.min(text.len());
            prop_assert_eq!(cut(1000, &[&text]), cut(1000, &[&text[..at], &text[at..]]));
        }
    }
}
