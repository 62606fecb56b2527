//! CSV as spreadsheets read it (RFC 4180): every cell in quotes, and none that a spreadsheet would take for a formula.

use actix_web::HttpResponse;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};

/// Lines of CSV.
#[derive(Debug, Default)]
pub struct Csv(String);

impl Csv {
    /// A table with this head.
    #[must_use]
    pub fn new(head: &[&str]) -> Self {
        let mut csv = Self::default();
        csv.line(head.iter().map(|cell| (*cell).to_owned()));
        csv
    }

    /// Adds a line.
    pub fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().map(|cell| quoted(&cell)).collect();
        self.0.push_str(&cells.join(","));
        self.0.push_str("\r\n");
    }

    /// The table as a download.
    #[must_use]
    pub fn download(self, name: &str) -> HttpResponse {
        let disposition = ContentDisposition {
            disposition: DispositionType::Attachment,
            parameters: vec![DispositionParam::Filename(name.to_owned())],
        };
        HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8; header=present")
            .insert_header((header::CONTENT_DISPOSITION, disposition))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(self.0)
    }
}

/// A cell. One that begins as a formula does gets an apostrophe before it, which spreadsheets take for "this is text"; some skip what cannot
/// be seen and look at what comes then.
fn quoted(cell: &str) -> String {
    let seen = cell.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let is_formula = seen.starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let begins_odd = cell.starts_with(['\t', '\r', '\n']);
    let mark = if is_formula || begins_odd { "'" } else { "" };
    format!("\"{mark}{}\"", cell.replace('"', "\"\"").replace('\0', ""))
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
            assert_eq!(quoted(cell), want, "{cell:?}");
        }
    }
}
