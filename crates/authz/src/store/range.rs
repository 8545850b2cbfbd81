//! Lists of relationships as ranges of the columns of their key.

use super::TupleFilter;
use super::columns::TupleColumns;
use crate::relation::{Text, Tuple};

/// The columns of the key after the store, in its order.
pub(super) const COLUMNS: [&str; 6] =
    ["object_type", "object_id", "relation", "subject_type", "subject_relation", "subject_id"];

/// What a filter fixes of them.
pub(super) fn fixed_columns(filter: &TupleFilter) -> [Option<Text>; 6] {
    let subject = filter.subject.as_ref();
    [
        filter.object_type.clone(),
        filter.object_id.clone(),
        filter.relation.clone(),
        subject.map(|subject| subject.type_name().clone()),
        subject.map(|subject| subject.relation().cloned().unwrap_or_else(|| Text::from(""))),
        subject.map(|subject| Text::from(subject.id())),
    ]
}

/// Which of the rows that match a filter come after a cursor.
///
/// The filter's columns are left out of the comparison, because they are equal in all rows: what remains is a range of the same
/// index that the filter uses, so that the last page costs no more than the first.
pub(super) enum Rest {
    Everything,
    Nothing,
    From { columns: Vec<(&'static str, String)>, or_equal: bool },
}

impl Rest {
    pub(super) fn after(cursor: &Tuple, fixed: &[Option<Text>; 6]) -> Self {
        let at = TupleColumns::of("", cursor);
        let values = [at.object_type, at.object_id, at.relation, at.subject_type, at.subject_relation, at.subject_id];
        let mut columns = Vec::new();
        let mut or_equal = false;
        for ((name, value), fixed) in COLUMNS.into_iter().zip(values).zip(fixed) {
            match fixed.as_deref().map(|fixed| fixed.cmp(value)) {
                None => columns.push((name, value.to_owned())),
                Some(std::cmp::Ordering::Equal) => {}
                // A cursor of another list: from here on every row lies after it, or before it.
                Some(order) => {
                    or_equal = order.is_gt();
                    break;
                }
            }
        }
        match (columns.is_empty(), or_equal) {
            (true, true) => Self::Everything,
            (true, false) => Self::Nothing,
            (false, or_equal) => Self::From { columns, or_equal },
        }
    }
}
