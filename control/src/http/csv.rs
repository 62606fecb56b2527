//! CSV as spreadsheets read it (RFC 4180): every cell in quotes, and none that a spreadsheet would take for a formula.

use crate::service::ActError;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpResponse, HttpResponseBuilder};
use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};

/// What such a file is.
pub const KIND: &str = "text/csv; charset=utf-8; header=present";

/// Lines of CSV.
#[derive(Debug)]
pub struct Csv {
    out: Writer<Vec<u8>>,
    wrong: bool,
}

impl Csv {
    /// A table with this head.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let mut csv = Self::continued();
        csv.line(head.iter().map(|cell| (*cell).to_owned()));
        csv
    }

    /// More lines of a table that has its head.
    #[must_use]
    pub fn continued() -> Self {
        let out = WriterBuilder::new()
            .quote_style(QuoteStyle::Always)
            .terminator(Terminator::CRLF)
            .flexible(true)
            .from_writer(Vec::new());
        Self { out, wrong: false }
    }

    /// Adds a line.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.wrong |= self.out.write_record(cells.into_iter().map(harmless)).is_err();
    }

    /// The lines as text.
    ///
    /// # Errors
    /// One could not be written.
    pub fn text(self) -> Result<Vec<u8>, ActError> {
        let wrong = ActError::Internal("a table cannot be written as CSV");
        if self.wrong { Err(wrong) } else { self.out.into_inner().map_err(|_| wrong) }
    }
}

/// An answer that the browser keeps as a file of that name.
pub fn attachment(kind: &str, name: &str) -> HttpResponseBuilder {
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(name.to_owned())],
    };
    let mut answer = HttpResponse::Ok();
    answer
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    answer
}

/// A cell. One that begins as a formula does gets an apostrophe before it, which spreadsheets take for "this is text"; some skip what cannot
/// be seen and look at what comes then.
fn harmless(cell: String) -> String {
    let seen = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let is_formula = seen.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let begins_odd = cell.starts_with(['\t', '\r', '\n']);
    let mark = if is_formula || begins_odd { "'" } else { "" };
    format!("{mark}{}", cell.replace('\0', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_none_leaves_its_place() {
        for (cell, want) in [
            ("plain", "\"plain\""),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"so\"", "\"say \"\"so\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(1)", "\"'@SUM(1)\""),
            (" =1", "\"' =1\""),
            ("\t=1", "\"'\t=1\""),
            ("\rx", "\"'\rx\""),
            ("\"=1", "\"\"\"=1\""),
            ("a=1", "\"a=1\""),
        ] {
            let mut csv = Csv::new(&[]);
            csv.line([cell.to_owned(), "x".to_owned()]);
            let text = String::from_utf8(csv.text().expect("writes")).expect("text");
            assert!(text.ends_with(&format!("{want},\"x\"\r\n")), "{cell:?}: {text}");
        }
    }
}
