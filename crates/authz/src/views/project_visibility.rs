//! Whether a relation to an object is given to everybody of a type: the answers to look-ups of wildcards.
//!
//! A row is what such a look-up reads, and its tag is that of the look-up. That there is no row says that it is not given: every wildcard
//! is a row.

use std::time::Duration;

use cache_core::{ReadSet, RowKey};

use super::team_access::condition;
use super::{CONDITION, Definition, PROJECT_VISIBILITY, store_column, store_of};
use crate::decide::CachedValue;
use crate::evaluate::tags;
use crate::relation::{Object, Presence, Subject, Text, Tuple};
use crate::store::{StoreId, TupleRead};

/// What a row of a relationship without a condition says.
const ALWAYS: &str = "always";

pub(super) fn definition(schema: &str) -> Definition {
    let query = format!(
        "SELECT store, object_type, object_id, relation, subject_type, {CONDITION} AS under
 FROM {schema}.tuples WHERE subject_id = '*'"
    );
    Definition {
        name: PROJECT_VISIBILITY,
        query,
        keys: &["store", "object_type", "object_id", "relation", "subject_type"],
        value: "coalesce(under::text, 'always')",
        columns: &[],
        every: Duration::from_secs(60),
        limit: Duration::from_secs(120),
    }
}

/// The row of a wildcard.
pub(crate) fn row_key(store: StoreId, object: &Object, relation: &str, subject_type: &str) -> RowKey {
    let columns = [&object.type_name, &object.id, relation, subject_type];
    RowKey {
        view: PROJECT_VISIBILITY,
        columns: std::iter::once(store_column(store)).chain(columns.into_iter().map(Into::into)).collect(),
        asked: Default::default(),
    }
}

pub(super) fn from_row(key: &RowKey, row: Option<&str>) -> Option<(CachedValue, ReadSet)> {
    let [store, object_type, object_id, relation, subject_type] = key.columns.as_slice() else { return None };
    let presence = match row {
        None => Presence::Absent,
        Some(ALWAYS) => Presence::Present,
        Some(under) => {
            let (name, context): (String, String) = serde_json::from_str(under).ok()?;
            Presence::Conditional(condition(&name, &context)?)
        }
    };
    let read = TupleRead::Point(Tuple {
        object: Object { type_name: Text::from(&**object_type), id: Text::from(&**object_id) },
        relation: Text::from(&**relation),
        subject: Subject::Wildcard { type_name: Text::from(&**subject_type) },
    });
    let tag = tags::of_read(store_of(store)?, &read);
    Some((CachedValue::Exists(presence), [tag].into_iter().collect()))
}
