//! The graph of one question, driven by hand: what may happen in between when others compute parts of it.

use std::sync::Arc;

use authz::evaluate::{Graph, Limits, NodeId, Plan, Provenance, ReadId};
use authz::model::Model;
use authz::relation::{Object, Subject, Tuple};
use authz::store::{StoreId, TupleAnswer, TupleRead};
use cache_core::{Moment, Revision, Tag, TypeSet};
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
    graph.answer(enumeration, TupleAnswer::Ids(vec!["f".into()]), provenance(1, &[])).unwrap();
    graph.settle();
    let fresh = graph.take_fresh();
    let (first, second) = (node_of(&graph, &fresh, "first"), node_of(&graph, &fresh, "second"));
    // Another evaluation computes the one; the other needs it too, and reads for both.
    graph.await_elsewhere(first);
    graph.expand(second).unwrap();
    let reads = graph.take_reads();
    let found = read_of(&reads, "folder:f", "first");
    graph.answer(found, TupleAnswer::Found(true), provenance(1, &[])).unwrap();
    graph.settle();
    assert_eq!(graph.value(first), Some(true));
    // What the other evaluation found is from after a change.
    let later = Tag::of("later").finish();
    graph.give(first, false, provenance(9, &[later]));
    graph.settle();
    assert_eq!(graph.value(first), Some(true));
    let justified = graph.justify(first).unwrap();
    assert!(justified.allowed && !justified.read_set.tags().contains(&later));
    assert_eq!(justified.stamp, Some(Revision::new(1).stamp_after()));
}
