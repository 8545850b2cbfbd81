//! Who asks for what, by hour and weekday.

use authz::relation::{Object, Subject};
use authz::views::access_patterns::{Pattern, append, by_hour, hottest, trim};

use crate::mirror::Mirror;

#[tokio::test]
async fn the_busiest_questions_of_an_hour_are_told_by_weight() {
    let mut mirror = Mirror::new(false).await;
    let store = mirror.store.0.to_string();
    let all = [
        ("user:ann", "viewer", "doc:1", true, 100),
        ("user:ann", "viewer", "doc:1", false, 20),
        ("user:bob", "viewer", "doc:2", false, 300),
        ("team:a#member", "editor", "doc:x:1", true, 1),
    ];
    let stores = vec![store.as_str(); all.len()];
    let column = |of: fn(&(&'static str, &'static str, &'static str, bool, i32)) -> &'static str| -> Vec<&str> {
        all.iter().map(of).collect()
    };
    let (subjects, relations, objects) = (column(|row| row.0), column(|row| row.1), column(|row| row.2));
    let (allowed, weights): (Vec<bool>, Vec<i32>) = all.iter().map(|row| (row.3, row.4)).unzip();
    let sql = append(&mirror.schema);
    mirror.client.execute(&sql, &[&stores, &subjects, &relations, &objects, &allowed, &weights]).await.unwrap();
    // Tuesday, 14:59 in UTC, wherever the server is; and half a minute into the next hour.
    mirror
        .client
        .batch_execute(
            "SET timezone = 'Asia/Tokyo'; UPDATE access_log SET at = '2024-05-07 14:59:59+00';
             INSERT INTO access_log (at, store, subject, relation, object, allowed)
             SELECT '2024-05-07 15:00:30+00', store, subject, relation, object, allowed FROM access_log WHERE subject = 'user:bob'",
        )
        .await
        .unwrap();
    mirror.refresh().await;
    let relation = format!("{}.access_patterns_v1", mirror.schema);
    let rows = mirror.client.query(&hottest(&relation), &[&2_i32, &14_i32, &2_i64]).await.unwrap();
    let patterns: Vec<Pattern> = rows
        .iter()
        .map(|row| {
            let columns: [String; 4] = std::array::from_fn(|at| row.get(at));
            Pattern::read(columns.each_ref().map(String::as_str), row.get(4), row.get(5)).unwrap()
        })
        .collect();
    let pattern = |subject, object, asked, allowed| Pattern {
        store: mirror.store,
        subject: Subject::parse(subject).unwrap(),
        relation: "viewer".into(),
        object: Object::parse(object).unwrap(),
        asked,
        allowed,
    };
    assert_eq!(patterns, [pattern("user:bob", "doc:2", 300, 0), pattern("user:ann", "doc:1", 120, 100)]);

    let rows = mirror.client.query(&by_hour(&relation), &[]).await.unwrap();
    let hours: Vec<(i32, i32, i64, i64)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    assert_eq!(hours, [(2, 14, 421, 3), (2, 15, 1, 1)]);

    let month = 28 * 24 * 60 * 60_i64;
    assert_eq!(mirror.client.execute(&trim(&mirror.schema), &[&month]).await.unwrap(), 5, "that was long ago");
}
