//! The evaluation of one question: what may happen in between when caches and other evaluations give parts of it.
#![allow(clippy::unwrap_used, reason = "what tests share fails like tests")]

use std::sync::Arc;

use authz::decide::{CheckRequest, Consistency, DecisionPoint};
use authz::evaluate::{Graph, Limits, NodeId, Plan, Provenance, ReadId};
use authz::model::Model;
use authz::relation::{Member, Object, Presence, Subject, Tuple};
use authz::store::memory::MemoryStore;
use authz::store::{StoreId, TupleAnswer, TupleRead, WriteBatch};
use cache_core::{Moment, Revision, Tag, TypeSet};
use cache_l1::{MemoryConfig, MemoryLayer};
use ulid::Ulid;

fn plan(relations: &str) -> Plan {
    let text = format!(
        "model\n  schema 1.1\ntype user\ntype folder\n  relations\n    define first: [user]\n    define second: [user] and first\n\
         type doc\n  relations\n    define parent: [folder]\n{relations}"
    );
    let model = Model::from_dsl(&text).unwrap();
    model.validate().unwrap();
    Plan::new(Arc::new(model))
}

fn graph<'p>(plan: &'p Plan, limits: Limits, relation: &str) -> Graph<'p> {
    let (subject, object) = (Subject::parse("user:ann").unwrap(), Object::parse("doc:1").unwrap());
    Graph::new(plan, limits, StoreId(Ulid(1)), subject, object, relation.into())
}

fn provenance(revision: u64, tags: &[Tag]) -> Provenance {
    Provenance {
        stamp: Revision::new(revision).stamp_after(),
        hard_expiry: Moment::NEVER,
        tags: tags.to_vec(),
        types: TypeSet::default(),
    }
}

fn read_of(reads: &[(ReadId, TupleRead)], object: &str, relation: &str) -> ReadId {
    let wanted = TupleRead::Point(Tuple::parse(object, relation, "user:ann").unwrap());
    reads.iter().find(|(_, read)| *read == wanted).map(|(id, _)| *id).unwrap_or_else(|| panic!("{reads:?}"))
}

fn node_of(graph: &Graph<'_>, nodes: &[NodeId], relation: &str) -> NodeId {
    nodes.iter().copied().find(|node| **graph.question(*node).1 == *relation).unwrap()
}

#[test]
fn what_a_node_learned_by_its_own_reads_is_not_justified_by_what_comes_later() {
    let plan = plan("    define seen: first from parent and second from parent\n");
    let mut graph = graph(&plan, Limits::default(), "seen");
    graph.take_fresh();
    graph.expand(Graph::ROOT).unwrap();
    let reads = graph.take_reads();
    let enumeration = reads[0].0;
    graph.answer(enumeration, TupleAnswer::Members(vec!["f".into()]), provenance(1, &[])).unwrap();
    graph.settle();
    let fresh = graph.take_fresh();
    let (first, second) = (node_of(&graph, &fresh, "first"), node_of(&graph, &fresh, "second"));
    // Another evaluation computes the one; the other needs it too, and reads for both.
    graph.await_elsewhere(first);
    graph.expand(second).unwrap();
    let reads = graph.take_reads();
    let found = read_of(&reads, "folder:f", "first");
    graph.answer(found, TupleAnswer::Found(Presence::Present), provenance(1, &[])).unwrap();
    graph.settle();
    assert_eq!(graph.value(first), Some(true));
    // What the other evaluation found is from after a change.
    let later = Tag::of("later").finish();
    graph.give(first, false, provenance(9, &[later]));
    graph.settle();
    assert_eq!(graph.value(first), Some(true));
    let justified = graph.justify(first, |_| TypeSet::default()).unwrap();
    assert!(justified.allowed && !justified.read_set.tags().contains(&later));
    assert_eq!(justified.stamp, Some(Revision::new(1).stamp_after()));
}

/// A relation that is looked for along `parent` and along `link`, no further than two objects.
fn chain() -> (Plan, Limits) {
    let model = Model::from_dsl(
        "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define parent: [doc]\n    define link: [doc]\n    \
         define seen: [user] or seen from parent or seen from link\n",
    )
    .unwrap();
    (Plan::new(Arc::new(model)), Limits { max_depth: 2, ..Limits::default() })
}

/// Expands whatever there is to expand, and gathers whatever is to be read.
fn grow(graph: &mut Graph<'_>, reads: &mut Vec<(ReadId, TupleRead)>) {
    graph.settle();
    for node in graph.take_fresh() {
        graph.expand(node).unwrap();
    }
    reads.extend(graph.take_reads());
}

fn enumerate(graph: &mut Graph<'_>, reads: &mut Vec<(ReadId, TupleRead)>, object: &str, relation: &str, ids: &[&str]) {
    let of = Object::parse(object).unwrap();
    let wanted = |read: &TupleRead| matches!(read, TupleRead::Enumerate { object, relation: name, .. } if *object == of && **name == *relation);
    let (id, _) = *reads.iter().find(|(_, read)| wanted(read)).as_ref().unwrap();
    let ids = ids.iter().map(|id| (*id).into()).collect();
    graph.answer(*id, TupleAnswer::Members(ids), provenance(1, &[])).unwrap();
    grow(graph, reads);
}

#[test]
fn a_way_that_is_too_long_hides_no_short_one() {
    let (plan, limits) = chain();
    let (mut graph, mut reads) = (graph(&plan, limits, "seen"), Vec::new());
    grow(&mut graph, &mut reads);
    // A cache that knows of the parents leads down past the bound before anything else was read.
    enumerate(&mut graph, &mut reads, "doc:1", "parent", &["2"]);
    enumerate(&mut graph, &mut reads, "doc:2", "parent", &["3"]);
    enumerate(&mut graph, &mut reads, "doc:3", "parent", &["4"]);
    assert_eq!((graph.value(Graph::ROOT), graph.too_deep().map(|bound| bound.max)), (None, Some(2)));
    graph.answer(read_of(&reads, "doc:2", "seen"), TupleAnswer::Found(Presence::Present), provenance(1, &[])).unwrap();
    graph.settle();
    assert_eq!(graph.value(Graph::ROOT), Some(true));
}

#[test]
fn a_shorter_way_brings_what_lies_behind_it_nearer() {
    let (plan, limits) = chain();
    let (mut graph, mut reads) = (graph(&plan, limits, "seen"), Vec::new());
    grow(&mut graph, &mut reads);
    enumerate(&mut graph, &mut reads, "doc:1", "parent", &["2"]);
    enumerate(&mut graph, &mut reads, "doc:2", "parent", &["3"]);
    enumerate(&mut graph, &mut reads, "doc:3", "parent", &["4"]);
    assert!(graph.too_deep().is_some());
    enumerate(&mut graph, &mut reads, "doc:1", "link", &["3"]);
    assert!(graph.too_deep().is_none());
    graph.answer(read_of(&reads, "doc:4", "seen"), TupleAnswer::Found(Presence::Present), provenance(1, &[])).unwrap();
    graph.settle();
    assert_eq!(graph.value(Graph::ROOT), Some(true));
}

#[tokio::test]
async fn a_bound_that_only_cached_parts_lead_to_is_no_error() {
    let model = Model::from_dsl(
        "model\n  schema 1.1\ntype user\ntype group\n  relations\n    define link: [group]\n    define parent: [group]\n    \
         define member: [user]\n    define guest: member\n    define near: guest from link\n    define far: member from parent\n    \
         define both: near and far from parent\n",
    )
    .unwrap();
    let memory = MemoryConfig { budget_bytes: 1 << 20, ..MemoryConfig::default() };
    let point = DecisionPoint::builder(Arc::new(MemoryStore::default()))
        .tier(MemoryLayer::new(memory).unwrap())
        .limits(Limits { max_depth: 1, ..Limits::default() })
        .build()
        .await
        .unwrap();
    let store = point.create_store("groups").await.unwrap().id;
    point.write_model(store, &model).await.unwrap();
    let tuples = [
        ("group:top", "link", "group:inner"),
        ("group:top", "parent", "group:middle"),
        ("group:middle", "parent", "group:inner"),
        ("group:inner", "member", "user:ann"),
    ];
    let writes = tuples.map(|(object, relation, subject)| Tuple::parse(object, relation, subject).unwrap()).to_vec();
    point.write(store, None, WriteBatch::of(writes)).await.unwrap();
    let ask = async |relation: &str, object: &str, consistency| {
        let request = CheckRequest {
            consistency,
            ..CheckRequest::new(store, Subject::parse("user:ann").unwrap(), relation, Object::parse(object).unwrap())
        };
        point.check(&request).await.map(|decision| decision.allowed).map_err(|error| error.to_string())
    };
    // The inner group's members are one object away by the link, and two by way of the parents. Once the guests are cached, nothing follows the link.
    assert_eq!(ask("guest", "group:inner", Consistency::MinimizeLatency).await, Ok(true));
    assert_eq!(ask("both", "group:top", Consistency::MinimizeLatency).await, Ok(true));
    assert_eq!(ask("both", "group:top", Consistency::Full).await, Ok(true));
}

/// A test that would not end if the work grew with the cube of the relations.
#[test]
fn a_model_of_thousands_of_relations_in_a_row_is_ready_at_once() {
    const RELATIONS: usize = 900;
    let mut text = "model\n  schema 1.1\ntype user\n".to_owned();
    for kind in 0..5 {
        text.push_str(&format!("type t{kind}\n  relations\n    define r{RELATIONS}: [user]\n"));
        text.extend((0..RELATIONS).map(|number| format!("    define r{number}: r{}\n", number + 1)));
    }
    let plan = Plan::new(Arc::new(Model::from_dsl(&text).unwrap()));
    let (subject, object) = (Subject::parse("user:ann").unwrap(), Object::parse("t0:1").unwrap());
    let mut graph = Graph::new(&plan, Limits::default(), StoreId(Ulid(1)), subject, object, "r0".into());
    graph.take_fresh();
    graph.expand(Graph::ROOT).unwrap();
    let reads = graph.take_reads();
    assert_eq!(reads.len(), 1, "only the last one is written");
    graph.answer(reads[0].0, TupleAnswer::Found(Presence::Present), provenance(1, &[])).unwrap();
    graph.settle();
    assert_eq!(graph.value(Graph::ROOT), Some(true));
}

/// Many relations that all lead to the same many objects: few reads and few nodes, but each with each.
#[test]
fn the_links_of_an_evaluation_are_bounded() {
    let relations: String = (0..60).map(|number| format!("    define r{number}: first from parent\n")).collect();
    let any = (0..60).map(|number| format!("r{number}")).collect::<Vec<_>>().join(" or ");
    let plan = plan(&format!("{relations}    define seen: {any}\n"));
    let answer = |limits: Limits| {
        let mut graph = graph(&plan, limits, "seen");
        graph.take_fresh();
        graph.expand(Graph::ROOT).unwrap();
        let reads = graph.take_reads();
        assert_eq!(reads.len(), 1);
        let ids = (0..9_000).map(|number| Member::from(&*format!("f{number}"))).collect();
        graph.answer(reads[0].0, TupleAnswer::Members(ids), provenance(1, &[])).map(|()| {
            graph.settle();
            let nodes = graph.take_fresh();
            for node in &nodes {
                graph.give(*node, false, provenance(1, &[]));
            }
            graph.settle();
            (nodes.len(), graph.value(Graph::ROOT))
        })
    };
    let bounded = answer(Limits { max_edges: 100_000, ..Limits::default() });
    assert_eq!(bounded.unwrap_err().what, "the number of links between objects");
    assert_eq!(answer(Limits { max_edges: 1_000_000, ..Limits::default() }).unwrap(), (9_000, Some(false)));
}
