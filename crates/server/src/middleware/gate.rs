//! How many requests are inside at a time. The next one is told at once, while it can still go elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Api;

/// Counts who is inside.
pub(super) struct Gate {
    inside: AtomicUsize,
    max: usize,
}

/// A place inside, until it is dropped.
pub(super) struct Inside<'a>(Option<&'a AtomicUsize>);

impl Gate {
    pub(super) fn new(max: usize) -> Self {
        Self { inside: AtomicUsize::new(0), max }
    }

    /// A place, if there is one. Probes of health always get in: a server that is busy is not dead.
    pub(super) fn enter(&self, api: Api) -> Option<Inside<'_>> {
        if api == Api::Health {
            return Some(Inside(None));
        }
        let place = Inside(Some(&self.inside));
        // Over the limit, the place is given back by its drop.
        (self.inside.fetch_add(1, Ordering::Relaxed) < self.max).then_some(place)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if let Some(inside) = self.0 {
            inside.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_holder_is_done() {
        let gate = Gate::new(1);
        let place = gate.enter(Api::AuthZen);
        assert!(place.is_some());
        assert!(gate.enter(Api::OpenFga).is_none());
        assert!(gate.enter(Api::Health).is_some(), "probes always get in");
        drop(place);
        assert!(gate.enter(Api::OpenFga).is_some());
    }
}
