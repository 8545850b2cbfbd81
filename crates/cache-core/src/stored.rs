//! Values outside of this process: as the bytes of a tier that stores bytes, and as the rows of a tier that mirrors the origin.
//!
//! A tier brings the envelope (stamp, read set, ends, checksum), and the value only what it says itself. Bytes of another schema, and
//! rows that nobody here would write, are no value: never decoded by guessing.

use smallvec::SmallVec;

use crate::{CacheValue, ReadSet, TypeSet};

/// A value that can be written as bytes and read back, by this release and by those whose schema is the same.
pub trait StoredValue: CacheValue {
    /// The number of this encoding. Another one for every change of it: what was written under another number is a miss.
    const SCHEMA: u16;

    /// Appends the value's bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// The value of some bytes, all of which belong to it; none where no value of this schema has them.
    fn read(bytes: &[u8]) -> Option<Self>;
}

/// Which row of a view is looked for, and what of it is asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RowKey {
    /// The name of the view.
    pub view: &'static str,
    /// The columns of its key, in their order.
    pub columns: SmallVec<[Box<str>; 6]>,
    /// What of the row is asked; nothing where the row is the answer.
    pub asked: SmallVec<[Box<str>; 3]>,
}

/// A value that the row of a view says.
pub trait RowValue: CacheValue {
    /// The value with the tags of what it was computed from. `row` is the text of the view's `value` column. That there is no row is
    /// an answer too, whose tags come from the key.
    ///
    /// None where the row does not answer the key: that is a miss.
    fn from_row(key: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)>;

    /// The cache types of what the value was composed of, beside the key's own, and whether it was composed: see [`TypeSet`].
    #[must_use]
    fn types(key: &RowKey) -> TypeSet {
        let _ = key;
        TypeSet::default()
    }
}
