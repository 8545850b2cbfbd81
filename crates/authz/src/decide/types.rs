//! The six cache types, and which one a value belongs to.

use std::collections::HashMap;
use std::time::Duration;

use cache_core::{CacheType, TypeSet};

use crate::evaluate::Plan;
use crate::relation::{Subject, Tuple};
use crate::store::TupleRead;

/// Decisions on a leaf resource.
pub const GENERATION_RIGHTS: CacheType = CacheType::new(0, "generation_rights");
/// What a subject is and belongs to: roles, teams, capabilities.
pub const USER_PERMISSIONS: CacheType = CacheType::new(1, "user_permissions");
/// Which teams and parents a resource is shared with; the same for every subject.
pub const TEAM_ACCESS: CacheType = CacheType::new(2, "team_access");
/// Whether a resource is public; the same for every subject.
pub const PROJECT_VISIBILITY: CacheType = CacheType::new(3, "project_visibility");
/// The decision behind a signed media URL.
pub const MEDIA_ACCESS_TOKENS: CacheType = CacheType::new(4, "media_access_tokens");
/// The state of a rate-limit window.
pub const RATE_LIMIT_STATUS: CacheType = CacheType::new(5, "rate_limit_status");

/// All of them.
pub const CACHE_TYPES: [CacheType; 6] =
    [GENERATION_RIGHTS, USER_PERMISSIONS, TEAM_ACCESS, PROJECT_VISIBILITY, MEDIA_ACCESS_TOKENS, RATE_LIMIT_STATUS];

/// The default lifetime of a type in a memory tier.
#[must_use]
pub fn default_l1_ttl(cache_type: CacheType) -> Duration {
    Duration::from_secs(match cache_type.index() {
        0 => 3 * 60,
        1 => 5 * 60,
        2 => 10 * 60,
        3 => 15 * 60,
        4 => 60,
        _ => 30,
    })
}

/// A cache type by its name.
#[must_use]
pub fn cache_type(name: &str) -> Option<CacheType> {
    CACHE_TYPES.into_iter().find(|known| known.name() == name)
}

/// The cache type under which the answer to a look-up is known; none for what only concerns one subject.
pub(super) fn of_read(read: &TupleRead) -> Option<CacheType> {
    match read {
        TupleRead::Point(Tuple { subject: Subject::Wildcard { .. }, .. })
        | TupleRead::Reverse { subject: Subject::Wildcard { .. }, .. } => Some(PROJECT_VISIBILITY),
        TupleRead::Enumerate { .. } | TupleRead::Reverse { .. } => Some(TEAM_ACCESS),
        TupleRead::Point(_) | TupleRead::Properties(_) => None,
    }
}

/// The same as a set: an invalidation by type reaches whatever was made of the answer, and whether it was kept plays no part.
pub(super) fn types_of_read(read: &TupleRead) -> TypeSet {
    of_read(read).map_or(TypeSet::default(), TypeSet::of)
}

/// Which cache type decisions about a resource type belong to.
///
/// What is not assigned goes by the model: types whose relations are given to others as subjects (teams, groups, roles) hold memberships, hence
/// `user_permissions`; any other type holds `generation_rights`. Enumerations are always `team_access` and wildcards `project_visibility`.
#[derive(Clone, Debug, Default)]
pub struct Assignment {
    by_resource_type: HashMap<String, CacheType>,
}

impl Assignment {
    /// Assigns a resource type.
    #[must_use]
    pub fn assign(mut self, resource_type: &str, cache_type: CacheType) -> Self {
        self.by_resource_type.insert(resource_type.to_owned(), cache_type);
        self
    }

    pub(super) fn of(&self, resource_type: &str, plan: &Plan) -> CacheType {
        match self.by_resource_type.get(resource_type) {
            Some(assigned) => *assigned,
            None if plan.grants_to_members(resource_type) => USER_PERMISSIONS,
            None => GENERATION_RIGHTS,
        }
    }
}
