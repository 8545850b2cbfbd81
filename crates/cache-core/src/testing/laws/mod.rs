//! The laws of a tier, each a function whose name is the sentence.
//!
//! A law that does not apply to a tier, by its capabilities or by its fixture, says so by its name: a tier that takes any value refuses none,
//! and one that mirrors an origin takes no fills at all.

mod coherence;
mod failure;
mod late_fill;
mod lifetime;
mod mirror;
mod race;
mod storage;

pub use coherence::*;
pub use failure::*;
pub use late_fill::*;
pub use lifetime::*;
pub use mirror::*;
pub use race::*;
pub use storage::*;

use super::SharedLayer;
use crate::CacheLayer;

/// Says that a law has nothing to say about a tier.
#[allow(clippy::print_stderr, reason = "whoever runs the laws of a tier sees which of them do not apply to it")]
fn does_not_apply(law: &str, tier: &SharedLayer, why: &str) {
    eprintln!("law {law} does not apply to {}: {why}", tier.name());
}

/// Whether a tier takes fills; where it does not, says that the law is about those that do.
fn takes_fills(law: &str, tier: &SharedLayer) -> bool {
    let fillable = tier.capabilities().fillable;
    if !fillable {
        does_not_apply(law, tier, "it takes no fills");
    }
    fillable
}

/// Expands to one test for each law, about the tier that a [`Fixture`](crate::testing::Fixture) makes.
///
/// The crate that uses it needs tokio with `macros` and `rt`. Each use wants a module of its own.
#[macro_export]
macro_rules! conformance {
    ($fixture:ty) => {
        $crate::__laws! { $fixture;
            // Storage.
            a_filled_value_is_found_with_its_provenance_unchanged
            values_of_every_shape_come_back
            keys_do_not_share_values
            a_batch_answers_in_order
            a_later_fill_replaces_an_earlier_one
            removed_keys_are_forgotten_and_no_others
            clearing_forgets_everything
            a_look_up_of_now_never_waits
            usage_counts_what_is_held
            a_value_that_is_too_large_is_refused_and_not_replaced_by_an_older_one
            many_tasks_at_once_get_their_own_values
            a_tier_that_takes_no_fills_keeps_none
            a_mirrored_row_is_found_with_the_stamp_of_its_view_and_its_tags
            a_mirrored_row_is_copied_upwards_with_its_stamp_and_an_end
            // Coherence.
            an_invalidated_value_is_a_miss_although_nothing_was_deleted
            an_invalidation_of_something_else_leaves_the_value
            the_stamp_survives_promotion
            a_promoted_value_is_invalidated_like_any_other
            a_composed_value_takes_the_lowest_stamp_the_earliest_end_and_all_tags
            a_part_that_is_invalidated_takes_what_was_composed_of_it_along
            the_entities_of_a_parts_key_reach_what_was_composed_of_it
            a_chain_that_joins_late_knows_what_was_invalidated_before
            // Late fills.
            a_late_load_does_not_undo_an_invalidation
            a_late_fill_does_not_undo_an_invalidation
            a_late_batch_does_not_undo_an_invalidation
            a_late_part_does_not_undo_an_invalidation
            a_late_promotion_does_not_undo_an_invalidation
            what_an_invalidation_overtakes_is_served_to_nobody_who_asks_later
            // Lifetimes.
            an_expired_value_is_a_miss
            a_value_never_outlives_its_own_end_in_any_tier
            a_promoted_value_never_outlives_the_tier_that_it_came_from
            a_lifetime_belongs_to_its_tier_and_type
            a_value_past_its_soft_end_is_a_stale_hit_and_is_loaded_anew
            a_value_that_says_there_is_nothing_is_a_negative_hit
            // Failure.
            an_unreachable_backend_is_an_error_not_a_miss
            an_error_of_a_tier_is_not_a_miss
            an_error_of_one_tier_does_not_stop_the_next
            clearing_reaches_every_tier_and_gathers_every_error
            removing_reaches_every_tier_and_gathers_every_error
            a_tier_that_is_switched_off_is_neither_asked_nor_filled
        }
    };
}

/// The expansion of [`conformance!`](crate::conformance).
#[doc(hidden)]
#[macro_export]
macro_rules! __laws {
    ($fixture:ty; $($law:ident)+) => {
        $(
            #[tokio::test]
            async fn $law() {
                $crate::testing::laws::$law(<$fixture as ::std::default::Default>::default()).await;
            }
        )+
    };
}
