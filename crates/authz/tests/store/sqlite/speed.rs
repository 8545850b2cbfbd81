//! Figures, for whoever changes the tables: `cargo test --release --test store speed -- --ignored --nocapture`.

use std::sync::Arc;

use authz::store::{Store, TupleAnswer, TupleRead, WriteBatch};

use super::{config, place};
use crate::support::{open_sqlite, reverse, tuple, with};

const CALLERS: usize = 16;
const BATCHES: usize = 100;
const LOADED: usize = 200_000;

fn seconds(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures and asserts none"]
#[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
async fn figures_of_writes_and_reads() {
    use std::time::Instant;
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    for conditional in [false, true] {
        let start = Instant::now();
        let writers = (0..CALLERS).map(|caller| {
            let (origin, store) = (Arc::clone(&world.origin), world.store);
            tokio::spawn(async move {
                for batch in 0..BATCHES {
                    let name = |n: usize| format!("doc:{conditional}-{caller}-{batch}-{n}#viewer@user:{}", n % 37);
                    let batch = if conditional {
                        WriteBatch::of((0..100).map(|n| with(&name(n), "in_office", r#"{"net": "10.0.0.0/8"}"#)))
                    } else {
                        WriteBatch::of((0..100).map(|n| tuple(&name(n))))
                    };
                    origin.write(store, batch).await.unwrap();
                }
            })
        });
        futures_util::future::join_all(writers).await;
        let a_second = (CALLERS * BATCHES * 100) as f64 / seconds(start);
        println!("written by {CALLERS} callers, with a condition: {conditional}: {a_second:.0} tuples/s");
    }
    let start = Instant::now();
    let all = (0..LOADED).map(|n| tuple(&format!("page:{n:06}#viewer@user:{}", n % 4)));
    world.origin.load(world.store, all, |_| {}).await.unwrap();
    println!("loaded: {:.0} tuples/s", LOADED as f64 / seconds(start));

    let points: Vec<TupleRead> = (0..10_000)
        .map(|n| TupleRead::Point(tuple(&format!("page:{:06}#viewer@user:{}", n * 7 % LOADED, n % 4))))
        .collect();
    for round in 0..2 {
        let mut snapshot = world.origin.snapshot().await.unwrap();
        let start = Instant::now();
        snapshot.read(world.store, points.clone()).await.unwrap();
        println!("points, round {round}: {:.2} us each", seconds(start) * 1e6 / points.len() as f64);
        let start = Instant::now();
        let answer = snapshot.read(world.store, vec![reverse("user:1", "page", "viewer")]).await.unwrap();
        let TupleAnswer::Members(found) = &answer[0] else { panic!("too many") };
        println!("reverse, round {round}: {} objects in {:.1} ms", found.len(), seconds(start) * 1e3);
    }
}
