//! What rows mean.

use cache_core::{ReadSet, RowKey, RowValue, TypeSet};

use super::{
    AUTHORIZATION_CONTEXT, PROJECT_VISIBILITY, TEAM_ACCESS, authorization_context, project_visibility, team_access,
};
use crate::decide::{CACHE_TYPES, CachedValue};

impl RowValue for CachedValue {
    fn from_row(key: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)> {
        match key.view {
            TEAM_ACCESS => team_access::from_row(key, row),
            PROJECT_VISIBILITY => project_visibility::from_row(key, row),
            AUTHORIZATION_CONTEXT => authorization_context::from_row(key, row),
            _ => None,
        }
    }

    fn types(key: &RowKey) -> TypeSet {
        match key.view {
            // Decisions that an evaluation would have composed of parts, whose types an operator may have chosen: any of them.
            AUTHORIZATION_CONTEXT => CACHE_TYPES
                .into_iter()
                .fold(TypeSet::composed(), |types, cache_type| types.union(TypeSet::of(cache_type))),
            _ => TypeSet::default(),
        }
    }
}
