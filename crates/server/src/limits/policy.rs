//! Which buckets a question takes from, and how much of each.

use std::collections::HashMap;
use std::num::NonZeroU32;

use authz::decide::{Asked, Work};
use cache_redis::limit::Quota;
use smallvec::SmallVec;

use super::bucket::{Bucket, Payer};
use crate::config::{ActionClass, Quota as QuotaSettings, Rate};

/// The policies as the settings describe them.
#[derive(Debug)]
pub(super) struct Policies {
    all: Vec<Policy>,
    caller: Option<usize>,
    subject: Option<usize>,
    class_of: HashMap<String, usize>,
    /// Of all actions that are in no class by name.
    other_actions: Option<usize>,
    list_weight: u32,
}

/// One kind of buckets, which have one quota.
#[derive(Debug)]
pub(super) struct Policy {
    /// What it is called in headers.
    pub(super) name: String,
    pub(super) quota: Quota,
}

/// What a question takes from one bucket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Charge<'a> {
    /// The number of the policy.
    pub(super) policy: usize,
    pub(super) bucket: Bucket<'a>,
    pub(super) units: u32,
}

/// At most one bucket of each sort: of a caller, of a class, of a subject.
pub(super) type Charges<'a> = SmallVec<[Charge<'a>; 3]>;

impl Policies {
    /// The settings are within their bounds; a quota of nothing is none.
    pub(super) fn new(settings: &Rate) -> Self {
        let Rate { enabled: _, instances: _, list_weight, caller, subject, classes } = settings;
        let mut all = Vec::new();
        let mut add = |name: &str, quota: &QuotaSettings| {
            let quota = Quota::new(NonZeroU32::new(quota.burst)?, NonZeroU32::new(quota.per_second)?);
            all.push(Policy { name: name.to_owned(), quota });
            Some(all.len() - 1)
        };
        let (caller, subject) = (add("caller", caller), add("subject", subject));
        let (mut class_of, mut other_actions) = (HashMap::new(), None);
        for (name, ActionClass { actions, burst, per_second }) in classes {
            let quota = QuotaSettings { burst: *burst, per_second: *per_second };
            let Some(class) = add(&format!("class-{name}"), &quota) else { continue };
            for action in actions {
                match action.as_str() {
                    "*" => other_actions = Some(class),
                    action => {
                        class_of.insert(action.to_owned(), class);
                    }
                }
            }
        }
        Self { all, caller, subject, class_of, other_actions, list_weight: *list_weight }
    }

    /// The policies by their numbers.
    pub(super) fn all(&self) -> &[Policy] {
        &self.all
    }

    /// What a question takes. The widest bucket comes first.
    pub(super) fn charges<'a>(&'a self, payer: &'a Payer, asked: &Asked<'a>) -> Charges<'a> {
        let Asked { store, subject, action, work } = *asked;
        let units = match work {
            Work::Check | Work::Expand => 1,
            Work::List => self.list_weight,
        };
        let class = self.class_of.get(&**action).copied().or(self.other_actions);
        let of_caller = self.caller.map(|policy| (policy, Bucket::of(payer)));
        let of_class = class.map(|policy| (policy, Bucket::Class { store, name: &self.all[policy].name }));
        let of_subject =
            self.subject.zip(subject).map(|(policy, subject)| (policy, Bucket::Subject { store, subject }));
        let buckets = [of_caller, of_class, of_subject];
        buckets.into_iter().flatten().map(|(policy, bucket)| Charge { policy, bucket, units }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use authz::relation::{Subject, Text};
    use authz::store::StoreId;
    use ulid::Ulid;

    use super::*;

    const CALLER: Payer = Payer::Address(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));

    fn class(actions: &[&str]) -> ActionClass {
        ActionClass { actions: actions.iter().map(|action| (*action).to_owned()).collect(), burst: 10, per_second: 1 }
    }

    fn names(policies: &Policies, asked: &Asked<'_>) -> Vec<(String, u32)> {
        let charges = policies.charges(&CALLER, asked);
        charges.iter().map(|charge| (policies.all()[charge.policy].name.clone(), charge.units)).collect()
    }

    #[test]
    fn a_question_takes_from_its_caller_its_class_and_its_subject() {
        let classes = [("render".to_owned(), class(&["generate", "preview"])), ("rest".to_owned(), class(&["*"]))];
        let policies = Policies::new(&Rate { classes: classes.into(), ..Rate::default() });
        let (ann, generate, view) = (Subject::parse("user:ann").unwrap(), Text::from("generate"), Text::from("view"));
        let asked = Asked { store: StoreId(Ulid(1)), subject: Some(&ann), action: &generate, work: Work::Check };
        let named = |names: &[(&str, u32)]| names.iter().map(|(name, units)| ((*name).to_owned(), *units)).collect();
        let expected: Vec<_> = named(&[("caller", 1), ("class-render", 1), ("subject", 1)]);
        assert_eq!(names(&policies, &asked), expected);
        let list = Asked { action: &view, work: Work::List, subject: None, ..asked };
        let expected: Vec<_> = named(&[("caller", 10), ("class-rest", 10)]);
        assert_eq!(names(&policies, &list), expected);
    }

    #[test]
    fn a_quota_of_nothing_is_no_limit() {
        let nothing = QuotaSettings { burst: 10, per_second: 0 };
        let policies = Policies::new(&Rate { caller: nothing, subject: nothing, ..Rate::default() });
        let (ann, view) = (Subject::parse("user:ann").unwrap(), Text::from("view"));
        let asked = Asked { store: StoreId(Ulid(1)), subject: Some(&ann), action: &view, work: Work::Check };
        assert!(policies.charges(&CALLER, &asked).is_empty());
    }
}
