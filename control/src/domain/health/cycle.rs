//! Reading all of the data, a part at a time. restic's `--read-data-subset=n/t` deals every pack to one of t parts by its id, so that
//! t checks with n from 1 to t have read everything that was there all along.

use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One part of the data. As restic's option: `3/7`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = ReadDataPart)]
pub struct Part {
    /// Which, from 1.
    pub n: u16,
    /// Of so many.
    pub of: u16,
}

/// The numbers are no part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data is read in 1 to 256 parts, and they are counted from 1")]
pub struct NotPart;

/// The most parts: restic deals packs by the first byte of their id.
const MOST: u16 = 256;

impl Part {
    /// A part, if there is such a one.
    ///
    /// # Errors
    /// [`NotPart`] if there are no or too many parts, or this is none of them.
    pub const fn new(n: u16, of: u16) -> Result<Self, NotPart> {
        if of == 0 || of > MOST || n == 0 || n > of { Err(NotPart) } else { Ok(Self { n, of }) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.n, self.of)
    }
}

/// How far the data of a repository is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReadCycle {
    /// In so many parts.
    pub of: u16,
    /// The parts that were read without an error in this cycle.
    pub done: BTreeSet<u16>,
    /// When the first of them was read.
    pub began_at: Option<Timestamp>,
    /// When everything was last read.
    pub completed_at: Option<Timestamp>,
}

impl ReadCycle {
    /// A cycle of which nothing is read yet.
    ///
    /// # Errors
    /// [`NotPart`] if there are no or too many parts.
    pub fn new(of: u16) -> Result<Self, NotPart> {
        Part::new(1, of)?;
        Ok(Self { of, done: BTreeSet::new(), began_at: None, completed_at: None })
    }

    /// The same repository, from now on in so many parts: what is read of other parts says nothing about these.
    ///
    /// # Errors
    /// [`NotPart`] if there are no or too many parts.
    pub fn divided(self, of: u16) -> Result<Self, NotPart> {
        if of == self.of {
            return Ok(self);
        }
        Ok(Self { completed_at: self.completed_at, ..Self::new(of)? })
    }

    /// The part to read next: the first that is not read. One that failed comes again.
    #[must_use]
    pub fn next(&self) -> Part {
        let n = (1..=self.of).find(|n| !self.done.contains(n)).unwrap_or(1);
        Part { n, of: self.of }
    }

    /// After a part was read without an error. A part of another division changes nothing.
    #[must_use]
    pub fn after(mut self, part: Part, at: Timestamp) -> Self {
        if part.of != self.of || Part::new(part.n, part.of).is_err() {
            return self;
        }
        self.done.insert(part.n);
        self.began_at = self.began_at.or(Some(at));
        if self.done.len() < usize::from(self.of) {
            return self;
        }
        Self { of: self.of, done: BTreeSet::new(), began_at: None, completed_at: Some(at) }
    }

    /// After all of the data was read at once.
    #[must_use]
    pub fn after_all(self, at: Timestamp) -> Self {
        Self { of: self.of, done: BTreeSet::new(), began_at: None, completed_at: Some(at) }
    }

    /// How much of the data this cycle has read, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        100.0 * self.done.len() as f64 / f64::from(self.of.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(n: i64) -> Timestamp {
        Timestamp::from_seconds(n)
    }

    #[test]
    fn parts_are_counted_from_one() {
        for (n, of, fine) in
            [(1, 1, true), (7, 7, true), (256, 256, true), (0, 7, false), (8, 7, false), (1, 0, false), (1, 257, false)]
        {
            assert_eq!(Part::new(n, of).is_ok(), fine, "{n}/{of}");
        }
        assert_eq!(Part { n: 3, of: 7 }.to_string(), "3/7");
    }

    #[test]
    fn a_failed_part_comes_again_and_a_new_division_begins_anew() {
        let cycle = ReadCycle::new(3).expect("parts");
        assert_eq!(cycle.next().n, 1);
        let cycle = cycle.after(Part { n: 1, of: 3 }, at(1));
        assert_eq!((cycle.next().n, cycle.percent().round()), (2, 33.0), "a failed check is not told here");
        let strange = cycle.clone().after(Part { n: 2, of: 7 }, at(2));
        assert_eq!(strange, cycle);
        let cycle = cycle.after_all(at(3));
        assert_eq!((cycle.next().n, cycle.completed_at, cycle.percent()), (1, Some(at(3)), 0.0));
        let divided = cycle.after(Part { n: 1, of: 3 }, at(4)).divided(5).expect("parts");
        assert_eq!((divided.next(), divided.completed_at, divided.began_at), (Part { n: 1, of: 5 }, Some(at(3)), None));
    }

    proptest! {
        #[test]
        fn a_cycle_reads_everything_once(of in 1..=MOST, start in 0..300u16) {
            let mut cycle = ReadCycle::new(of).expect("parts");
            for n in 0..start {
                let next = cycle.next();
                cycle = cycle.after(next, at(i64::from(n)));
            }
            // From any place, as many parts as there are cover all of them.
            let mut read = BTreeSet::new();
            for n in 0..of {
                let next = cycle.next();
                prop_assert!(Part::new(next.n, next.of).is_ok());
                read.insert(next.n);
                cycle = cycle.after(next, at(1_000 + i64::from(n)));
            }
            prop_assert_eq!(read.len(), usize::from(of));
            prop_assert!(cycle.completed_at.is_some_and(|completed| completed >= at(1_000)));
        }
    }
}
