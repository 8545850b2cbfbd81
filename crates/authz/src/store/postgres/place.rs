//! Places in the history of changes.
//!
//! Transactions end in another order than they are numbered, and their rows get their ids before they end. So neither number is a place: a
//! row with a lower one may come to light later. A reader goes through *batches* instead. A batch is what a snapshot sees that the snapshot of
//! the batch before did not see; within a batch the rows come in the order of their ids, which is the order in which each relationship was
//! changed. A change that rests on another one is never seen without it, so that across batches that order holds as well.
//!
//! A place is therefore two snapshots and an id. It is written in a compact form, because it travels in the tokens of readers.
//!
//! It also says of which history it is: in one that was restored the same numbers are those of other transactions, and who went on by them would be
//! told some changes never.

use cache_core::Identity;
use pg_log::PgSnapshot;

use super::super::{ChangePlace, StoreError};

/// The form below.
const VERSION: u8 = 2;
/// The most transactions that are open at once in a snapshot of a place, so that tokens have a bounded length.
pub(super) const MAX_OPEN: usize = 256;

/// Where a reader of changes has come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// Whatever this sees was told; nothing for the first batch.
    pub(super) told: Option<PgSnapshot>,
    /// What this sees, besides, is the batch.
    pub(super) batch: PgSnapshot,
    /// The rows of the batch have no higher ids.
    pub(super) last: u64,
    /// Those up to this id were told.
    pub(super) after: u64,
    /// Whose numbers these are.
    pub(super) history: Identity,
}

impl Place {
    /// The same place for whoever goes on from it.
    pub(super) fn write(&self) -> ChangePlace {
        let mut bytes = vec![VERSION, u8::from(self.told.is_some())];
        for snapshot in self.told.iter().chain([&self.batch]) {
            put_snapshot(&mut bytes, snapshot);
        }
        put(&mut bytes, self.last);
        put(&mut bytes, self.after);
        bytes.extend(self.history.0);
        ChangePlace::from_bytes(bytes)
    }

    /// Reads what [`Self::write`] wrote, and nothing else.
    pub(super) fn read(place: &ChangePlace) -> Result<Self, StoreError> {
        read(place.as_bytes()).ok_or(StoreError::UnknownPlace)
    }

    /// The place at a row of the same batch.
    pub(super) fn at(&self, after: u64) -> Self {
        Self { after, ..self.clone() }
    }
}

fn read(bytes: &[u8]) -> Option<Place> {
    let (&[version, told], mut rest) = bytes.split_first_chunk()?;
    if version != VERSION || told > 1 {
        return None;
    }
    let told = if told == 1 { Some(snapshot(&mut rest)?) } else { None };
    let batch = snapshot(&mut rest)?;
    let (last, after) = (take(&mut rest)?, take(&mut rest)?);
    let history = Identity(rest.try_into().ok()?);
    Some(Place { told, batch, last, after, history })
}

pub(super) fn put_snapshot(bytes: &mut Vec<u8>, snapshot: &PgSnapshot) {
    put(bytes, snapshot.xmin());
    put(bytes, snapshot.xmax() - snapshot.xmin());
    put(bytes, snapshot.xip().len() as u64);
    let mut before = snapshot.xmin();
    for xid in snapshot.xip() {
        put(bytes, xid - before);
        before = *xid;
    }
}

/// Reads what [`put_snapshot`] wrote from the front.
pub(super) fn snapshot(bytes: &mut &[u8]) -> Option<PgSnapshot> {
    let xmin = take(bytes)?;
    let xmax = xmin.checked_add(take(bytes)?)?;
    let count = usize::try_from(take(bytes)?).ok().filter(|count| *count <= MAX_OPEN)?;
    let mut before = xmin;
    let mut xip = Vec::with_capacity(count);
    for _ in 0..count {
        before = before.checked_add(take(bytes)?)?;
        xip.push(before);
    }
    PgSnapshot::new(xmin, xmax, xip).ok()
}

/// Seven bits in each byte, the lowest first; the eighth says that there are more (LEB128).
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<Place> {
        let snapshot = |text: &str| text.parse::<PgSnapshot>().unwrap();
        let many: Vec<String> = (0..MAX_OPEN as u64).map(|n| (1_000_000_000 + n * 300).to_string()).collect();
        let wide = format!("1000000000:1000100000:{}", many.join(","));
        let history = Identity([9; 16]);
        vec![
            Place { told: None, batch: snapshot("3:3:"), last: 0, after: 0, history },
            Place {
                told: Some(snapshot("700:800:700,750")),
                batch: snapshot("750:900:750"),
                last: u64::MAX,
                after: 128,
                history,
            },
            Place { told: Some(snapshot(&wide)), batch: snapshot(&wide), last: 1 << 40, after: 1 << 39, history },
        ]
    }

    #[test]
    fn a_place_reads_back_as_it_was_written() {
        for place in places() {
            let written = place.write();
            assert_eq!(Place::read(&written).unwrap(), place);
            assert!(written.as_bytes().len() < 2_048, "{} bytes", written.as_bytes().len());
        }
    }

    #[test]
    fn whatever_else_is_refused() {
        for place in places() {
            let written = place.write();
            let bytes = written.as_bytes();
            for cut in 0..bytes.len() {
                assert!(Place::read(&ChangePlace::from_bytes(&bytes[..cut])).is_err(), "cut at {cut}");
            }
            let longer = [bytes, &[0]].concat();
            assert!(Place::read(&ChangePlace::from_bytes(longer)).is_err());
        }
        for bytes in
            [&[0; 8][..], &[1, 2, 3, 3, 0, 0, 0], &[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]]
        {
            assert!(Place::read(&ChangePlace::from_bytes(bytes)).is_err(), "{bytes:?}");
        }
    }
}
