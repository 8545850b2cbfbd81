//! Positions of an origin that one process has for itself, whose revisions are dense in the order of commits: one number says all.

use cache_core::Position;

use super::StoreError;

/// Everything up to this revision.
pub(super) fn position(number: u64) -> Position {
    Position::from_bytes(number.to_be_bytes())
}

/// Whether a position is applied, where everything up to `applied` is. Nobody else gives positions of this history, so that a higher one is none.
pub(super) fn applied(position: &Position, applied: u64) -> Result<(), StoreError> {
    let number = position.as_bytes().try_into().map(u64::from_be_bytes);
    if number.is_ok_and(|number| number <= applied) { Ok(()) } else { Err(StoreError::UnknownPosition) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_applied_is_and_what_was_not_is_none() {
        assert!(applied(&position(0), 0).is_ok());
        assert!(applied(&position(6), 7).is_ok() && applied(&position(7), 7).is_ok());
        for other in [position(8), Position::from_bytes([0; 7]), Position::from_bytes([])] {
            assert!(matches!(applied(&other, 7), Err(StoreError::UnknownPosition)), "{other:?}");
        }
    }
}
