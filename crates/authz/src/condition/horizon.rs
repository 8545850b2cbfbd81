//! An outcome holds until the first instant at which anything that was looked at may change. Where there is doubt it holds for this millisecond alone,
//! and never for longer than is true.

use super::time::LAST;
use super::value::Moving;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// How long what was found holds.
#[derive(Debug)]
pub(super) struct Horizon {
    now: u64,
    until: Option<u64>,
}

/// Which way two times are compared: `difference < threshold`, both in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Threshold(pub(super) i128);

impl Horizon {
    pub(super) const fn new(now: u64) -> Self {
        Self { now, until: None }
    }

    pub(super) const fn until(&self) -> Option<u64> {
        self.until
    }

    /// What was found holds for this millisecond only.
    pub(super) fn touch(&mut self) {
        self.after(1);
    }

    /// What was found may change when this many milliseconds have passed.
    fn after(&mut self, millis: i128) {
        let millis = u64::try_from(millis.max(1)).unwrap_or(u64::MAX);
        // An instant outside of the calendar never comes.
        if let Some(at) = self.now.checked_add(millis).filter(|at| i128::from(*at) * NANOS_PER_MILLI <= LAST) {
            self.until = Some(self.until.map_or(at, |until| until.min(at)));
        }
    }

    /// The first whole millisecond at which a distance was covered at a speed; both are positive.
    fn covers(&mut self, distance: i128, slope: i64) {
        let speed = i128::from(slope).saturating_mul(NANOS_PER_MILLI).saturating_abs().max(1);
        self.after(distance.saturating_add(speed - 1) / speed);
    }

    /// A difference was found to be below a threshold, or not.
    pub(super) fn compared(&mut self, difference: Moving, threshold: Threshold) {
        let gap = threshold.0.saturating_sub(difference.nanos);
        if gap > 0 && difference.slope > 0 {
            self.covers(gap, difference.slope);
        } else if gap <= 0 && difference.slope < 0 {
            self.covers(gap.saturating_neg().saturating_add(1), difference.slope);
        }
    }

    /// A time was found to be within a range.
    pub(super) fn within(&mut self, time: Moving, from: i128, to: i128) {
        if time.slope > 0 {
            self.covers(to.saturating_sub(time.nanos).saturating_add(1), time.slope);
        } else if time.slope < 0 {
            self.covers(time.nanos.saturating_sub(from).saturating_add(1), time.slope);
        }
    }

    /// Only whole units of a time were looked at.
    pub(super) fn rounded(&mut self, time: Moving, unit: i128) {
        let into = time.nanos.rem_euclid(unit);
        match time.slope {
            0 => {}
            slope if slope > 0 => self.covers(unit - into, slope),
            slope => self.covers(into + 1, slope),
        }
    }
}
