//! Plans that PostgreSQL keeps with a connection.

use authz::store::{Store, TupleRead};

use super::{until, world};
use crate::support::{enumerate, reverse, tuple};

/// PostgreSQL makes a plan for good after so many uses of a statement.
const USES: usize = 10;

#[tokio::test]
async fn a_plan_that_was_made_for_an_empty_table_does_not_read_all_of_a_large_one() {
    let (world, psql) = world!();
    let one = async || {
        let mut snapshot = world.origin.snapshot().await.unwrap();
        let reads = vec![
            TupleRead::Point(tuple("doc:1#viewer@user:ann")),
            enumerate("doc:1", "viewer", "user"),
            reverse("user:ann", "doc", "viewer"),
        ];
        snapshot.read(world.store, reads).await.unwrap();
        world.write(&["doc:1#viewer@user:bob", "doc:2#viewer@user:bob"]).await;
        world.delete(&["doc:1#viewer@user:bob", "doc:2#viewer@user:bob"]).await;
    };
    for _ in 0..USES {
        one().await;
    }
    let many = (0..20_000).map(|n| tuple(&format!("doc:{n}#viewer@user:u{n}")));
    world.origin.load(world.store, many, |_| {}).await.unwrap();
    let scans = async || {
        let sql = "SELECT seq_tup_read, idx_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relid = 'tiergate.tuples'::regclass";
        let row = psql.query_one(sql, &[]).await.unwrap();
        let count = |at: usize| row.get::<_, Option<i64>>(at).unwrap_or(0);
        (count(0), count(1), count(2))
    };
    let before = scans().await;
    for _ in 0..USES {
        one().await;
    }
    // What a session has counted is told at its end at the latest.
    world.origin.close().await;
    psql.batch_execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .await
    .unwrap();
    until("the look-ups are counted", async || scans().await.1 >= before.1 + 3 * i64::try_from(USES).unwrap()).await;
    let after = scans().await;
    assert_eq!(after.0, before.0, "rows were read one after the other");
    assert!(after.2 - before.2 < 1_000, "{} rows were fetched to find a few", after.2 - before.2);
}
