//! How high the floor was raised here.

use std::sync::atomic::{AtomicU64, Ordering};

/// The floor that the sink has been told of, to the end of the telling.
///
/// Invariant: once [`Floor::raise`] has returned, the sink holds that floor, however many raise it at once. So it counts as raised only after the
/// sink was told: whoever comes while another is still telling tells as well, which changes nothing, and does not go on before it is true.
#[derive(Debug, Default)]
pub(super) struct Floor(AtomicU64);

impl Floor {
    /// Tells of a floor, unless it is known to be as high already.
    pub(super) fn raise(&self, below: u64, tell: impl FnOnce()) {
        if self.0.load(Ordering::Acquire) < below {
            tell();
            self.0.fetch_max(below, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn whoever_comes_while_another_raises_the_floor_does_not_go_on_before_it_is_raised() {
        let (floor, raised) = (Floor::default(), Cell::new(0));
        floor.raise(7, || {
            // The first has got this far, and its sink knows nothing yet.
            floor.raise(7, || raised.set(7));
            assert_eq!(raised.get(), 7, "the second may publish its position now");
        });
    }

    #[test]
    fn a_floor_is_told_once_and_never_lowered() {
        let (floor, told) = (Floor::default(), Cell::new(0));
        for below in [0, 5, 5, 3, 6] {
            floor.raise(below, || told.set(told.get() + 1));
        }
        assert_eq!(told.get(), 2);
    }
}
