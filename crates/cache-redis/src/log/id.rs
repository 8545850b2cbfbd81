//! The ids of a stream as revisions: the milliseconds, and in the lowest 20 bits the number within them.
//!
//! The map keeps the order and has an inverse, so that a revision stands for exactly one record. An id that does not fit is refused, never
//! cut: two records with one revision would let a value that contains the first pass for one that contains both.

use cache_core::Revision;

/// The bits of the number within a millisecond.
const SEQUENCE_BITS: u32 = 20;
/// The highest number within a millisecond.
pub(super) const MAX_SEQUENCE: u64 = (1 << SEQUENCE_BITS) - 1;
/// The last millisecond that has ids: in the year 2527.
pub(super) const MAX_MILLISECOND: u64 = (1 << (64 - SEQUENCE_BITS)) - 1;

/// The revision of an id as Redis writes it, `1732786458123-0`; none where it does not fit.
pub(super) fn parse(id: &str) -> Option<Revision> {
    let (millisecond, sequence) = id.split_once('-')?;
    let (millisecond, sequence): (u64, u64) = (millisecond.parse().ok()?, sequence.parse().ok()?);
    (millisecond <= MAX_MILLISECOND && sequence <= MAX_SEQUENCE)
        .then(|| Revision::new(millisecond << SEQUENCE_BITS | sequence))
}

/// The id of a revision.
pub(super) fn text(revision: Revision) -> String {
    format!("{}-{}", millisecond(revision), revision.get() & MAX_SEQUENCE)
}

/// The millisecond of a revision.
pub(super) const fn millisecond(revision: Revision) -> u64 {
    revision.get() >> SEQUENCE_BITS
}

/// The highest revision of a millisecond.
pub(super) fn end_of(millisecond: u64) -> Revision {
    Revision::new(millisecond.min(MAX_MILLISECOND) << SEQUENCE_BITS | MAX_SEQUENCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_and_keeps_its_order() {
        let ids = ["0-0", "0-1", "0-1048575", "1-0", "1732786458123-7", "17592186044415-1048575"];
        let revisions: Vec<_> = ids.iter().map(|id| parse(id).expect("it fits")).collect();
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
        assert_eq!(revisions.iter().map(|revision| text(*revision)).collect::<Vec<_>>(), ids);
        assert!(end_of(1) > revisions[3] && end_of(1) < parse("2-0").expect("it fits"));
    }

    #[test]
    fn an_id_that_does_not_fit_is_refused() {
        for id in ["17592186044416-0", "1-1048576", "18446744073709551615-0", "1", "a-0", "1-", "-1-0", ""] {
            assert_eq!(parse(id), None, "{id:?}");
        }
    }
}
