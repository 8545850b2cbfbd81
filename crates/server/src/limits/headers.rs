//! What a caller is told of its quotas: the fields `RateLimit-Policy` and `RateLimit` of the IETF draft "RateLimit header fields for HTTP"
//! (draft-ietf-httpapi-ratelimit-headers-10), lists of structured fields (RFC 9651).
//!
//! A policy says `q`, the most at once, and `w`, the seconds in which as much comes back. Where it stands says `r`, what is left, and `t`, the seconds until there
//! is more: until it is full again, or, after a refusal, until there is room. Seconds are rounded up, so that nobody comes too early.

use std::fmt::Write as _;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::Standings;
use super::policy::Policy;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

/// Tells where the policies stand that a request had to do with. Where there are none, nothing is told.
pub(super) fn put(headers: &mut HeaderMap, policies: &[Policy], standings: &Standings) {
    if standings.is_empty() {
        return;
    }
    let (mut described, mut standing) = (String::new(), String::new());
    for (number, now) in standings {
        let Policy { name, quota } = &policies[*number];
        let comma = if described.is_empty() { "" } else { ", " };
        let (remaining, wait) = match now.refused_for {
            Some(wait) => (0, wait),
            None => (now.remaining, now.full_in),
        };
        // A `String` takes whatever is written.
        let _ = write!(described, "{comma}\"{name}\";q={};w={}", quota.burst(), seconds(quota.window()));
        let _ = write!(standing, "{comma}\"{name}\";r={remaining};t={}", seconds(wait));
    }
    // The names of policies hold no more than letters, digits, `_` and `-`.
    for (name, value) in [(POLICY, described), (STANDING, standing)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
}

/// Whole seconds, rounded up.
pub(crate) fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use cache_redis::limit::{Quota, Standing};

    use super::*;

    fn policy(name: &str, burst: u32, per_second: u32) -> Policy {
        let quota = Quota::new(NonZeroU32::new(burst).unwrap(), NonZeroU32::new(per_second).unwrap());
        Policy { name: name.to_owned(), quota }
    }

    #[test]
    fn policies_and_standings_are_structured_fields() {
        let policies = [policy("caller", 10_000, 2_000), policy("class-render", 5, 2)];
        let some = Standing { remaining: 9_999, full_in: Duration::from_micros(500), refused_for: None };
        let wait = Duration::from_millis(1_200);
        let none = Standing { remaining: 0, full_in: Duration::from_secs(3), refused_for: Some(wait) };
        let mut headers = HeaderMap::new();
        put(&mut headers, &policies, &Standings::from_slice(&[(0, some), (1, none)]));
        assert_eq!(headers["ratelimit-policy"], "\"caller\";q=10000;w=5, \"class-render\";q=5;w=3");
        assert_eq!(headers["ratelimit"], "\"caller\";r=9999;t=1, \"class-render\";r=0;t=2");
    }

    #[test]
    fn nothing_is_told_where_nothing_was_taken() {
        let mut headers = HeaderMap::new();
        put(&mut headers, &[], &Standings::new());
        assert!(headers.is_empty());
    }
}
