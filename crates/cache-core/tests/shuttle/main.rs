//! Interleavings of the production types, explored under [shuttle](https://docs.rs/shuttle): the chain, the horizon, the log and the single
//! flight run with its primitives instead of the standard library's, under schedules drawn at random and by probabilistic concurrency
//! testing (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", 2010).
//!
//! Each scenario holds as the product is, and each mistake that can be planted in it is found: an exploration that finds nothing in a
//! broken product proves nothing about a sound one.

mod family;
mod race;
mod scenario;
mod world;

/// A test for each scope of an invalidation: what is done with the scenario of a path, and with which mistake planted.
macro_rules! in_every_scope {
    ($name:ident, $path:ident, $judge:ident($($mistake:expr)?)) => {
        mod $name {
            use super::super::race::{Scope, $path};
            use super::*;

            fn judge(scenario: fn()) {
                $judge($($mistake,)? scenario);
            }

            #[test]
            fn by_a_tag() {
                judge(|| $path(Scope::Tag));
            }

            #[test]
            fn by_a_whole_type() {
                judge(|| $path(Scope::Type));
            }

            #[test]
            fn by_a_pattern() {
                judge(|| $path(Scope::Pattern));
            }

            #[test]
            fn by_everything() {
                judge(|| $path(Scope::Everything));
            }

            #[test]
            fn by_everything_with_the_tiers_cleared() {
                judge(|| $path(Scope::Clear));
            }

            #[test]
            fn by_a_tag_with_the_tiers_cleared() {
                judge(|| $path(Scope::TagAndClear));
            }
        }
    };
}

mod holds {
    use super::family::holds;
    use super::scenario;

    #[test]
    fn a_fill_against_an_invalidation() {
        holds(scenario::fill_against_invalidation);
    }

    #[test]
    fn a_check_against_two_writers() {
        holds(scenario::check_against_two_writers);
    }

    #[test]
    fn a_shared_load_against_an_invalidation() {
        holds(scenario::flight_against_invalidation);
    }

    #[test]
    fn a_promotion_against_an_invalidation() {
        holds(scenario::promotion_against_invalidation);
    }

    #[test]
    fn a_leader_that_is_cancelled() {
        holds(scenario::leader_is_cancelled);
    }

    #[test]
    fn a_composed_value_against_an_invalidation() {
        holds(scenario::composition_against_invalidation);
    }

    #[test]
    fn a_part_that_was_read_before_a_caller_asked() {
        holds(scenario::part_of_an_older_snapshot);
    }

    #[test]
    fn a_horizon_that_forgets() {
        holds(scenario::forgetting_against_look_ups);
    }

    #[test]
    fn callers_of_one_key_load_it_once() {
        holds(scenario::callers_of_one_key);
    }

    #[test]
    fn callers_of_one_key_load_it_twice_at_most_when_it_changes_once() {
        holds(scenario::callers_of_one_key_and_a_change);
    }

    in_every_scope!(a_load_is_overtaken, load, holds());
    in_every_scope!(a_promotion_is_overtaken, promotion, holds());
    in_every_scope!(a_refresh_is_overtaken, refresh, holds());
    in_every_scope!(a_batch_is_overtaken, batch, holds());
}

mod finds {
    use cache_core::Mistake;

    use super::family::finds;
    use super::scenario;

    #[test]
    fn a_horizon_that_is_not_asked() {
        finds(Mistake::NoHorizonCheck, scenario::fill_against_invalidation);
    }

    #[test]
    fn a_head_that_is_a_revision() {
        finds(Mistake::HeadFromRevision, scenario::check_against_two_writers);
    }

    #[test]
    fn a_head_that_is_loaded_after_the_look_ups() {
        finds(Mistake::HeadAfterLookup, scenario::check_against_two_writers);
    }

    #[test]
    fn a_head_that_is_published_before_the_map() {
        finds(Mistake::HeadBeforeMap, scenario::check_against_two_writers);
    }

    #[test]
    fn a_fill_that_counts_as_checked_at_its_end() {
        finds(Mistake::CheckedAtFill, scenario::fill_against_invalidation);
    }

    #[test]
    fn a_stamp_that_is_taken_after_the_read() {
        finds(Mistake::StampAfterRead, scenario::flight_against_invalidation);
    }

    #[test]
    fn a_composed_value_that_is_stamped_anew() {
        finds(Mistake::ComposedStampedNow, scenario::composition_against_invalidation);
    }

    #[test]
    fn a_promoted_value_that_is_stamped_anew() {
        finds(Mistake::PromotionStampedNow, scenario::promotion_against_invalidation);
    }

    #[test]
    fn a_horizon_that_forgets_without_raising_its_floor() {
        finds(Mistake::ForgetWithoutFloor, scenario::forgetting_against_look_ups);
    }

    #[test]
    fn a_follower_that_takes_what_it_gets() {
        finds(Mistake::FollowerUnchecked, scenario::flight_against_invalidation);
    }

    #[test]
    fn a_key_without_its_fields() {
        finds(Mistake::KeyWithoutAField, scenario::check_against_two_writers);
    }

    in_every_scope!(a_load_that_is_stamped_after_its_read, load, finds(Mistake::StampAfterRead));
    in_every_scope!(a_promotion_that_is_stamped_anew, promotion, finds(Mistake::PromotionStampedNow));
    in_every_scope!(a_refresh_that_is_stamped_after_its_read, refresh, finds(Mistake::StampAfterRead));
    in_every_scope!(a_batch_that_counts_as_checked_at_its_end, batch, finds(Mistake::CheckedAtFill));
}
