//! Sets of small numbers, all of one universe.

/// A set of the numbers below some size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bits(Box<[u64]>);

impl Bits {
    /// How many words a set of a universe of `size` takes.
    pub(super) fn words(size: usize) -> usize {
        size.div_ceil(64)
    }

    pub(super) fn none(size: usize) -> Self {
        Self(vec![0; Self::words(size)].into_boxed_slice())
    }

    pub(super) fn all(size: usize) -> Self {
        let mut all = Self(vec![u64::MAX; Self::words(size)].into_boxed_slice());
        if let Some(last) = all.0.last_mut()
            && !size.is_multiple_of(64)
        {
            *last = (1 << (size % 64)) - 1;
        }
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn insert(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(word) = self.0.get_mut(number as usize / 64) {
            *word &= !(1 << (number % 64));
        }
    }

    /// Adds what is in the other one.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// Keeps what is in the other one, too.
    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
    }

    /// Takes away what is in the other one.
    pub(super) fn take(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= !other);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            (0..64_u32).filter(move |bit| word & (1 << bit) != 0).map(move |bit| at as u32 * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_outside_of_its_universe() {
        let mut some = Bits::none(70);
        some.insert(3);
        some.insert(69);
        assert_eq!(some.iter().collect::<Vec<_>>(), [3, 69]);
        let mut rest = Bits::all(70);
        rest.take(&some);
        assert_eq!(rest.iter().count(), 68);
        rest.add(&some);
        assert_eq!(rest, Bits::all(70));
        rest.keep(&some);
        rest.remove(3);
        assert_eq!(rest.iter().collect::<Vec<_>>(), [69]);
        assert_eq!(Bits::all(128).iter().count(), 128);
        assert!(Bits::none(70).is_empty() && !rest.is_empty());
        assert_eq!(Bits::all(0).iter().count(), 0);
    }
}
