//! Points in time as the interfaces write them.

use authz::store::UnixMillis;

/// RFC 3339 in UTC, as in `2026-01-31T12:00:00.5Z`. A time that no calendar holds is written as the epoch.
pub(crate) fn rfc3339(millis: UnixMillis) -> String {
    let millis = i64::try_from(millis).unwrap_or_default();
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

/// Reads RFC 3339, with any offset. A time before the epoch is the epoch; a part of a millisecond is cut off.
pub(crate) fn millis(text: &str) -> Option<UnixMillis> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(UnixMillis::try_from(time.as_millisecond()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_its_milliseconds() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_900_000_000_500), "2030-03-17T17:46:40.5Z");
        assert_eq!(rfc3339(u64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_time_is_read_with_any_offset() {
        assert_eq!(millis("2030-03-17T17:46:40.5Z"), Some(1_900_000_000_500));
        assert_eq!(millis("2030-03-17T18:46:40.5009+01:00"), Some(1_900_000_000_500));
        assert_eq!(millis("1960-01-01T00:00:00Z"), Some(0));
        for text in ["", "yesterday", "2030-03-17", "2030-13-17T00:00:00Z", "2030-03-17T17:46:40"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }
}
