//! Positions: what has been applied, said so that it can be asked for.

use authz::store::{Store, StoreError};
use cache_core::Position;

use crate::support::{Fixture, writes};

super::laws!(a_position_is_another_one_after_a_change_and_both_are_applied, what_is_no_position_is_refused,);

async fn a_position_is_another_one_after_a_change_and_both_are_applied<F: Fixture>() {
    let world = F::open().await;
    let now = || {
        let number = world.origin.applied_number(0).expect("the log was joined");
        (number, world.origin.applied(number).expect("it is followed"))
    };
    let mut told = vec![now()];
    for n in 0..5 {
        world.origin.write(world.store, writes(&[&format!("doc:{n}#viewer@user:ann")])).await.unwrap();
        told.push(now());
    }
    for pair in told.windows(2) {
        assert!(pair[0].0 != pair[1].0 && pair[0].1 != pair[1].1, "{pair:?}");
    }
    for (_, position) in &told {
        world.origin.apply_position(position).await.unwrap();
    }
}

async fn what_is_no_position_is_refused<F: Fixture>() {
    let world = F::open().await;
    for bytes in [&[][..], &[0], &[9; 8], &[255; 200]] {
        let refused = world.origin.apply_position(&Position::from_bytes(bytes)).await;
        assert!(matches!(refused, Err(StoreError::UnknownPosition)), "{bytes:?}: {refused:?}");
    }
}
