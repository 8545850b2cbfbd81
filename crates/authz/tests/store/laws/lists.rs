//! Pages, filters, and the changes.

use std::sync::atomic::Ordering;

use authz::relation::{Subject, Text, Tuple};
use authz::store::{
    CLOCK_SLACK, ChangeFilter, ChangePlace, MAX_CHANGES_LOOKED_AT, Page, PageRequest, Store, StoredTuple, TupleFilter,
};

use crate::support::{Fixture, World, tuple};

super::laws!(
    relationships_are_listed_in_one_order,
    a_filter_matches_every_field_that_is_given,
    pages_join_up_whatever_the_filter,
    pages_neither_repeat_nor_skip_while_others_write,
    a_cursor_of_another_list_still_means_after,
    a_limit_is_kept_within_its_bounds,
    changes_come_in_the_order_of_the_log,
    changes_go_on_from_where_a_reader_stopped,
    changes_of_one_type_only,
    changes_since_a_time,
    changes_since_a_time_survive_a_clock_that_is_set_back,
    a_page_of_changes_looks_at_so_many_rows_and_no_more,
    records_are_dated_by_the_clock,
);

const ALL: [&str; 8] = [
    "doc:1#owner@user:ann",
    "doc:1#viewer@team:9#member",
    "doc:1#viewer@user:*",
    "doc:1#viewer@user:ann",
    "doc:1#viewer@user:bob",
    "doc:10#viewer@user:ann",
    "doc:2#viewer@user:ann",
    "folder:1#viewer@user:ann",
];

fn filters() -> Vec<(TupleFilter, Vec<&'static str>)> {
    let mut all = Vec::new();
    for object_type in [None, Some("doc"), Some("nothing")] {
        for object_id in [None, Some("1")] {
            for relation in [None, Some("viewer")] {
                for subject in [None, Some("user:ann"), Some("user:*"), Some("team:9#member"), Some("team:9")] {
                    if object_type.is_none() && object_id.is_some() {
                        continue;
                    }
                    let matching = ALL.into_iter().filter(|text| {
                        let found = tuple(text);
                        object_type.is_none_or(|wanted| *wanted == *found.object.type_name)
                            && object_id.is_none_or(|wanted| *wanted == *found.object.id)
                            && relation.is_none_or(|wanted| *wanted == *found.relation)
                            && subject.is_none_or(|wanted| wanted == found.subject.to_string())
                    });
                    let filter = TupleFilter {
                        object_type: object_type.map(Text::from),
                        object_id: object_id.map(Text::from),
                        relation: relation.map(Text::from),
                        subject: subject.map(|text| Subject::parse(text).unwrap()),
                    };
                    all.push((filter, matching.collect()));
                }
            }
        }
    }
    all
}

async fn list<S: Store>(world: &World<S>, filter: &TupleFilter, limit: usize) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = page(world, filter, after, limit).await;
        assert!(page.items.len() <= limit);
        found.extend(page.items.iter().map(|stored| stored.tuple.to_string()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

async fn page<S: Store>(
    world: &World<S>,
    filter: &TupleFilter,
    after: Option<Tuple>,
    limit: usize,
) -> Page<StoredTuple, Tuple> {
    world.origin.read_tuples(world.store, filter.clone(), PageRequest { after, limit }).await.unwrap()
}

async fn relationships_are_listed_in_one_order<F: Fixture>() {
    let world = F::open().await;
    let mut shuffled = ALL;
    shuffled.reverse();
    shuffled.swap(1, 4);
    world.write(&shuffled).await;
    assert_eq!(list(&world, &TupleFilter::default(), 100).await, ALL);
}

async fn a_filter_matches_every_field_that_is_given<F: Fixture>() {
    let world = F::open().await;
    world.write(&ALL).await;
    for (filter, expected) in filters() {
        assert_eq!(list(&world, &filter, 100).await, expected, "{filter:?}");
    }
}

async fn pages_join_up_whatever_the_filter<F: Fixture>() {
    let world = F::open().await;
    world.write(&ALL).await;
    for (filter, expected) in filters() {
        for limit in [1, 2, 3] {
            assert_eq!(list(&world, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
}

async fn pages_neither_repeat_nor_skip_while_others_write<F: Fixture>() {
    let world = F::open().await;
    world.write(&ALL).await;
    let all = TupleFilter::default();
    let first = page(&world, &all, None, 3).await;
    world.delete(&["doc:1#viewer@user:*", "doc:1#owner@user:ann"]).await;
    world.write(&["doc:0#viewer@user:new", "folder:2#viewer@user:new"]).await;
    let second = page(&world, &all, first.next, 100).await;
    let names: Vec<String> = second.items.iter().map(|stored| stored.tuple.to_string()).collect();
    assert_eq!(
        names,
        [
            "doc:1#viewer@user:ann",
            "doc:1#viewer@user:bob",
            "doc:10#viewer@user:ann",
            "doc:2#viewer@user:ann",
            "folder:1#viewer@user:ann",
            "folder:2#viewer@user:new"
        ],
        "also after the tuple that the page ended with is gone"
    );
}

async fn a_cursor_of_another_list_still_means_after<F: Fixture>() {
    let world = F::open().await;
    world.write(&ALL).await;
    for (filter, matching) in filters() {
        for cursor in ["a:1#a@a:1", "doc:1#viewer@user:ann", "doc:1#viewer@zebra:1", "doc:10#a@b:c", "z:1#z@z:1"] {
            let position = ALL.iter().position(|text| *text == cursor);
            let expected: Vec<&str> = matching
                .iter()
                .copied()
                .filter(|text| match (position, cursor) {
                    (Some(at), _) => ALL.iter().position(|known| known == text).unwrap() > at,
                    (None, "a:1#a@a:1") => true,
                    (None, "doc:1#viewer@zebra:1") => !text.starts_with("doc:1#"),
                    (None, "doc:10#a@b:c") => !text.starts_with("doc:1#"),
                    _ => false,
                })
                .collect();
            let rest = page(&world, &filter, Some(tuple(cursor)), 100).await;
            let names: Vec<String> = rest.items.iter().map(|stored| stored.tuple.to_string()).collect();
            assert_eq!(names, expected, "{filter:?} after {cursor}");
        }
    }
}

async fn a_limit_is_kept_within_its_bounds<F: Fixture>() {
    let world = F::open().await;
    let names: Vec<String> = (0..150).map(|n| format!("doc:{n:03}#viewer@user:ann")).collect();
    for part in names.chunks(100) {
        world.write(&part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    assert_eq!(page(&world, &TupleFilter::default(), None, 0).await.items.len(), 1);
    assert_eq!(page(&world, &TupleFilter::default(), None, 1_000_000).await.items.len(), 100);
}

fn of_type(object_type: Option<&str>) -> ChangeFilter {
    ChangeFilter { object_type: object_type.map(Text::from), since: None }
}

async fn changes<S: Store>(
    world: &World<S>,
    object_type: Option<&str>,
    after: Option<ChangePlace>,
    limit: usize,
) -> (Vec<String>, Option<ChangePlace>) {
    let page = PageRequest { after, limit };
    let page = world.origin.changes(world.store, of_type(object_type), page).await.unwrap();
    assert_eq!(page.items.last().map(|change| change.place).or(after), page.next);
    let names = page.items.iter().map(|change| format!("{}{}", if change.inserted { '+' } else { '-' }, change.tuple));
    (names.collect(), page.next)
}

async fn changes_come_in_the_order_of_the_log<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:2#viewer@user:ann"]).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    world.delete(&["doc:2#viewer@user:ann"]).await;
    world.origin.append(authz::store::InvalidationScope::All).await.unwrap();
    world.write(&["doc:2#viewer@user:ann"]).await;
    assert_eq!(
        changes(&world, None, None, 100).await.0,
        ["+doc:2#viewer@user:ann", "+doc:1#viewer@user:ann", "-doc:2#viewer@user:ann", "+doc:2#viewer@user:ann"]
    );
}

async fn changes_go_on_from_where_a_reader_stopped<F: Fixture>() {
    let world = F::open().await;
    assert_eq!(changes(&world, None, None, 10).await, (vec![], None));
    world.write(&["doc:1#viewer@user:ann", "doc:2#viewer@user:ann", "doc:3#viewer@user:ann"]).await;
    let (first, next) = changes(&world, None, None, 2).await;
    assert_eq!(first, ["+doc:1#viewer@user:ann", "+doc:2#viewer@user:ann"]);
    let (second, next) = changes(&world, None, next, 2).await;
    assert_eq!(second, ["+doc:3#viewer@user:ann"]);
    assert_eq!(changes(&world, None, next, 2).await, (vec![], next), "the end is a place to wait at");
    world.delete(&["doc:1#viewer@user:ann"]).await;
    assert_eq!(changes(&world, None, next, 2).await.0, ["-doc:1#viewer@user:ann"]);
}

async fn changes_of_one_type_only<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann", "folder:1#viewer@user:ann", "doc:2#viewer@user:ann"]).await;
    let (first, next) = changes(&world, Some("doc"), None, 1).await;
    assert_eq!(first, ["+doc:1#viewer@user:ann"]);
    assert_eq!(changes(&world, Some("doc"), next, 10).await.0, ["+doc:2#viewer@user:ann"]);
}

async fn since<S: Store>(world: &World<S>, time: u64, after: Option<ChangePlace>) -> Vec<String> {
    let filter = ChangeFilter { object_type: None, since: Some(time) };
    let page = world.origin.changes(world.store, filter, PageRequest { after, limit: 100 }).await.unwrap();
    page.items.iter().map(|change| change.tuple.object.id.to_string()).collect()
}

/// Times so far apart that where to begin must be found.
const HOUR: u64 = 60 * 60 * 1_000;

async fn write_at<S: Store>(world: &World<S>, hour: u64) {
    world.clock.0.store(hour * HOUR, Ordering::Relaxed);
    world.write(&[&format!("doc:{hour}#viewer@user:ann")]).await;
    world.origin.append(authz::store::InvalidationScope::All).await.unwrap();
}

async fn changes_since_a_time<F: Fixture>() {
    let world = F::open().await;
    for hour in 1..=9 {
        write_at(&world, hour).await;
    }
    let all: Vec<String> = (1..=9).map(|hour| hour.to_string()).collect();
    for hour in 0..=10_usize {
        let from = hour.saturating_sub(1);
        assert_eq!(since(&world, hour as u64 * HOUR, None).await, all[from.min(9)..], "hour {hour}");
        assert_eq!(since(&world, hour as u64 * HOUR + 1, None).await, all[hour.min(9)..], "after hour {hour}");
    }
    let filter = ChangeFilter { object_type: None, since: Some(4 * HOUR) };
    let first = PageRequest { after: None, limit: 2 };
    let next = world.origin.changes(world.store, filter.clone(), first).await.unwrap().next;
    assert_eq!(since(&world, 4 * HOUR, next).await, all[5..], "a page goes on where the one before ended");
    assert_eq!(since(&world, 2 * HOUR, next).await, all[5..], "and never goes back");
    let late = ChangeFilter { object_type: None, since: Some(99 * HOUR) };
    let end = world.origin.changes(world.store, late, PageRequest { after: next, limit: 2 }).await.unwrap();
    assert_eq!((end.items.len(), end.next), (0, next));
}

async fn changes_since_a_time_survive_a_clock_that_is_set_back<F: Fixture>() {
    let world = F::open().await;
    let start = 100 * HOUR;
    for (n, offset) in [0, 500_000, 1_000, 400_000, 2_000, CLOCK_SLACK, 600_001].into_iter().enumerate() {
        world.clock.0.store(start + offset, Ordering::Relaxed);
        world.write(&[&format!("doc:{n}#viewer@user:ann")]).await;
    }
    assert_eq!(since(&world, start + 400_000, None).await, ["1", "3", "5", "6"]);
    assert_eq!(since(&world, start + CLOCK_SLACK, None).await, ["5", "6"]);
}

async fn a_page_of_changes_looks_at_so_many_rows_and_no_more<F: Fixture>() {
    let world = F::open().await;
    world.write(&["rare:1#viewer@user:ann"]).await;
    let names: Vec<String> = (0..MAX_CHANGES_LOOKED_AT + 50).map(|n| format!("doc:{n}#viewer@user:ann")).collect();
    for part in names.chunks(100) {
        world.write(&part.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    world.write(&["rare:2#viewer@user:ann"]).await;
    let page = async |after, limit| {
        let page = PageRequest { after, limit };
        let page = world.origin.changes(world.store, of_type(Some("rare")), page).await.unwrap();
        (page.items.iter().map(|change| change.tuple.object.id.to_string()).collect::<Vec<_>>(), page.next)
    };
    let (first, full) = page(None, 1).await;
    assert_eq!(first, ["1"], "a page that is full ends with its last item");
    let (first, part) = page(None, 2).await;
    assert_eq!(first, ["1"]);
    assert!(part > full, "it looked further, and says how far");
    let (empty, next) = page(full, 2).await;
    assert_eq!(empty, Vec::<String>::new(), "empty, and not the end");
    assert!(next > part, "so many rows after the first one are one more than so many");
    let (second, end) = page(next, 2).await;
    assert_eq!(second, ["2"]);
    assert_eq!(page(end, 2).await, (vec![], end), "the end is a place to wait at");
}

async fn records_are_dated_by_the_clock<F: Fixture>() {
    let world = F::open().await;
    assert_eq!(world.origin.store(world.store).await.unwrap().unwrap().created_at, 1_000);
    world.clock.0.store(2_000, Ordering::Relaxed);
    world.write(&["doc:1#viewer@user:ann"]).await;
    assert_eq!(page(&world, &TupleFilter::default(), None, 1).await.items[0].written_at, 2_000);
    world.clock.0.store(3_000, Ordering::Relaxed);
    world.delete(&["doc:1#viewer@user:ann"]).await;
    let page = PageRequest { after: None, limit: 10 };
    let dated = world.origin.changes(world.store, ChangeFilter::default(), page).await.unwrap();
    assert_eq!(dated.items.iter().map(|change| change.at).collect::<Vec<_>>(), [2_000, 3_000]);
}
