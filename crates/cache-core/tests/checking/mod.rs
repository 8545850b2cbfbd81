//! Going through a model: a sound one holds, and a planted mistake is found or shown to be none.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

/// A model that the checker can take, with its name.
pub(crate) trait Run:
    Model<State: Clone + Debug + Hash + PartialEq + Send + Sync, Action: Clone + Debug + PartialEq> + Send + Sync + 'static
{
    fn name(&self) -> &'static str;
}

/// Goes through a whole run without a mistake.
#[expect(clippy::disallowed_methods, reason = "how long a run takes is worth a line")]
pub(crate) fn holds(run: impl Run) {
    let name = run.name();
    let started = Instant::now();
    let checker = run.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let seconds = started.elapsed().as_secs_f64();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states by {} steps, the longest way has {depth}, {seconds:.1} s", checker.state_count());
    checker.assert_properties();
}

/// A run with a mistake breaks a promise.
pub(crate) fn is_found(mistake: impl Debug, run: impl Run, broken: &'static str) {
    let name = run.name();
    let checker = run.checker().finish_when(HasDiscoveries::AllOf(BTreeSet::from([broken]))).spawn_bfs().join();
    let states = checker.unique_state_count();
    let Some(path) = checker.discovery(broken) else {
        panic!("{mistake:?} was not found in {states} states of the run {name:?}")
    };
    let way = path.into_actions();
    println!("{mistake:?}: found in {states} states of the run {name:?}, after {} steps: {way:?}", way.len());
}

/// The mistake is none where the run's other rules are kept.
pub(crate) fn is_harmless(mistake: impl Debug, run: impl Run) {
    let name = run.name();
    let checker = run.checker().finish_when(HasDiscoveries::Any).spawn_bfs().join();
    println!("{mistake:?}: harmless in {} states of the run {name:?}", checker.unique_state_count());
    checker.assert_properties();
}

/// A test for each mistake, in the run that it is planted in.
macro_rules! planted {
    ($($test:ident: $how:ident($mistake:ident, $bounds:ident);)*) => {
        $(
            #[test]
            fn $test() {
                $how(Mistake::$mistake, Bounds::$bounds());
            }
        )*
    };
}
pub(crate) use planted;
