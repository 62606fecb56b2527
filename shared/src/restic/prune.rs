//! The figures that `prune` prints for people; it prints no others.

use super::text::bytes;
use crate::wire::operation::PruneReport;

/// Takes a line into the figures; false if it is none of them.
pub fn line(figures: &mut PruneReport, line: &str) -> bool {
    let Some((name, value)) = line.trim().split_once(':') else { return false };
    let size = value.rsplit('/').next().and_then(bytes);
    let field = match name {
        "to repack" => &mut figures.repack_bytes,
        "this removes" => &mut figures.repack_frees_bytes,
        "to delete" => &mut figures.delete_bytes,
        "total prune" => &mut figures.total_bytes,
        "remaining" => &mut figures.remaining_bytes,
        "unused size after prune" => {
            figures.unused_bytes = bytes(value.split_once('(').map_or(value, |(size, _)| size));
            return true;
        }
        _ => return false,
    };
    *field = size;
    true
}
