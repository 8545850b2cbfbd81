//! Who asks for what, by hour and weekday.

use std::time::Duration;

use authz::relation::{Object, Subject};
use authz::views::ACCESS_PATTERNS;
use authz::views::access_patterns::{Access, KEPT, Load, Pattern, WeekHour, append, by_hour, hottest, trim};

use crate::mirror::{Kind, Mirror};

#[tokio::test]
async fn the_busiest_questions_of_an_hour_are_told_by_weight() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    let access = |subject, relation: &str, object, allowed, weight| Access {
        store: mirror.store,
        subject: Subject::parse(subject).unwrap(),
        relation: relation.into(),
        object: Object::parse(object).unwrap(),
        allowed,
        weight,
    };
    let accesses = [
        access("user:ann", "viewer", "doc:1", true, 100),
        access("user:ann", "viewer", "doc:1", false, 20),
        access("user:bob", "viewer", "doc:2", false, 300),
        access("team:a#member", "editor", "doc:x:1", true, 1),
    ];
    append(&mirror.pg, &accesses).await.unwrap();
    assert_eq!(trim(&mirror.pg, KEPT).await.unwrap(), 0);
    // Tuesday, 14:59 in UTC, wherever the server is; and half a minute into the next hour.
    mirror
        .client
        .batch_execute(
            "SET timezone = 'Asia/Tokyo'; UPDATE access_log SET at = '2024-05-07 14:59:59+00';
             INSERT INTO access_log (at, store, subject, relation, object, allowed)
             SELECT '2024-05-07 15:00:30+00', store, subject, relation, object, allowed FROM access_log
             WHERE subject = 'user:bob'",
        )
        .await
        .unwrap();
    mirror.refresh().await;
    let relation = mirror.views.relation(ACCESS_PATTERNS).await.unwrap().unwrap();
    let pattern = |subject, object, asked, allowed| Pattern {
        store: mirror.store,
        subject: Subject::parse(subject).unwrap(),
        relation: "viewer".into(),
        object: Object::parse(object).unwrap(),
        asked,
        allowed,
    };
    let (two, three) = (WeekHour { weekday: 2, hour: 14 }, WeekHour { weekday: 2, hour: 15 });
    let patterns = hottest(&mirror.pg, &relation, two, 2).await.unwrap();
    assert_eq!(patterns, [pattern("user:bob", "doc:2", 300, 0), pattern("user:ann", "doc:1", 120, 100)]);
    assert_eq!(hottest(&mirror.pg, &relation, WeekHour { weekday: 3, hour: 14 }, 9).await.unwrap(), []);
    let loads = by_hour(&mirror.pg, &relation).await.unwrap();
    let load = |at, asked, questions| Load { at, asked, questions };
    assert_eq!(loads, [load(two, 421, 3), load(three, 1, 1)]);
    assert_eq!(trim(&mirror.pg, Duration::from_secs(60)).await.unwrap(), 5, "that was long ago");
}
