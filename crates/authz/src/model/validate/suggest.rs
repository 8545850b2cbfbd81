//! What a person may have meant by a name that nothing defines.

/// Longer names get no suggestion, and no more candidates than this are compared: both keep the work on a hostile model small.
const MAX_CHARS: usize = 64;
const MAX_CANDIDATES: usize = 256;

/// A remedy that names the nearest candidate, or `otherwise` where none is near.
pub(super) fn remedy<'c>(wrong: &str, candidates: impl Iterator<Item = &'c str>, otherwise: &str) -> String {
    match nearest(wrong, candidates) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => otherwise.to_owned(),
    }
}

/// The candidate at the least edit distance, where at most a third of the name would have to change. Of equals the first in
/// the order of the alphabet, so that the answer doesn't depend on the order of a map.
fn nearest<'c>(wrong: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    if wrong.len() > MAX_CHARS {
        return None;
    }
    let allowed = (wrong.chars().count() / 3).max(1);
    candidates
        .filter(|candidate| candidate.len() <= MAX_CHARS && candidate.len().abs_diff(wrong.len()) <= 4 * allowed)
        .take(MAX_CANDIDATES)
        .map(|candidate| (strsim::osa_distance(wrong, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_stranger_is_not() {
        let candidates = ["viewer", "editor", "owner"];
        for (wrong, meant) in [("veiwer", "viewer"), ("edito", "editor"), ("Owner", "owner")] {
            assert_eq!(nearest(wrong, candidates.into_iter()), Some(meant));
        }
        assert_eq!(nearest("approver", candidates.into_iter()), None);
        assert_eq!(nearest("", candidates.into_iter()), None);
    }

    #[test]
    fn of_equally_near_names_the_first_of_the_alphabet_is_named() {
        assert_eq!(nearest("xat", ["hat", "cat"].into_iter()), Some("cat"));
    }
}
