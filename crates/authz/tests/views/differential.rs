//! Random worlds: whatever was written since the views were refreshed, an answer that they have a part in is what an evaluation of this moment
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency, RequestProperties};
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, Text, Tuple};
use authz::store::WriteBatch;
use cache_core::telemetry::Outcome;
use fastrand::Rng;

use crate::mirror::{Kind, Mirror};

/// Teams in teams, in three versions: with nesting, with more kinds, with hardly anything.
const MODELS: [&str; 3] = [
    "model
  schema 1.1
type user
type bot
type group
  relations
    define member: [user, group#member]
    define owner: [user, bot]
    define guest: [user, user:*]
    define temporary: [user with soon, group#member]
type team
  relations
    define member: [user, group#member, team#member]
    define lead: [user, group#owner]
    define any: member or lead
type folder
  relations
    define parent: [folder]
    define viewer: [user, user:*, team#member, team#any, group#guest, group#temporary] or viewer from parent
type doc
  relations
    define parent: [folder, team]
    define viewer: [user, user with soon, user:* with soon, team#lead, group#member with soon] or viewer from parent
    define banned: [user, user:*, group#member, team#member]
    define can_see: viewer but not banned
condition soon(x: int, y: int) {
  x > y
}
",
    "model
  schema 1.1
type user
type bot
type group
  relations
    define member: [user, bot, group#owner]
    define owner: [user, group#member]
    define guest: [user:*]
    define temporary: [user]
type team
  relations
    define member: [group#member]
    define lead: [team#member, team#lead, bot]
    define any: [user, team#lead]
type folder
  relations
    define parent: [folder]
    define viewer: [user, team#any, group#temporary]
type doc
  relations
    define parent: [folder]
    define viewer: [team#lead] or viewer from parent
    define banned: [user, group#owner]
    define can_see: viewer but not banned
condition soon(x: int, y: int) {
  x > y
}
",
    "model
  schema 1.1
type user
type bot
type group
  relations
    define member: [user]
    define owner: [bot]
    define guest: [user]
    define temporary: [user]
type team
  relations
    define member: [user]
    define lead: [user]
    define any: [user]
type folder
  relations
    define parent: [folder]
    define viewer: [user, group#member]
type doc
  relations
    define parent: [folder]
    define viewer: [user]
    define banned: [user]
    define can_see: viewer but not banned
condition soon(x: int, y: int) {
  x > y
}
",
];

const RELATIONS: [(&str, &[&str]); 4] = [
    ("group", &["member", "owner", "guest", "temporary"]),
    ("team", &["member", "lead", "any"]),
    ("folder", &["viewer"]),
    ("doc", &["viewer", "banned", "can_see"]),
];

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

fn object(rng: &mut Rng, type_name: &str) -> Object {
    Object::new(type_name, pick(rng, &["a", "b:1", "ü", "\"'\\"])).unwrap()
}

fn person(rng: &mut Rng) -> Object {
    let type_name = pick(rng, &["user", "user", "user", "bot"]);
    object(rng, type_name)
}

/// A relationship as the first model has them; other models leave many of them out.
fn relationship(rng: &mut Rng) -> Relationship {
    let text = |rng: &mut Rng, kind: &str, relation: &str| Subject::Userset {
        object: object(rng, kind),
        relation: relation.into(),
    };
    let (type_name, relation) = pick(
        rng,
        &[
            ("group", "member"),
            ("group", "member"),
            ("group", "member"),
            ("group", "owner"),
            ("group", "guest"),
            ("group", "temporary"),
            ("team", "member"),
            ("team", "member"),
            ("team", "lead"),
            ("team", "any"),
            ("folder", "parent"),
            ("folder", "viewer"),
            ("doc", "parent"),
            ("doc", "viewer"),
            ("doc", "banned"),
        ],
    );
    let subject = match (relation, rng.u8(..10)) {
        ("parent", _) => Subject::Object(object(rng, pick(&mut rng.clone(), &["folder", "folder", "team"]))),
        (_, 0..5) => Subject::Object(person(rng)),
        (_, 5) => Subject::Wildcard { type_name: "user".into() },
        (_, 6..8) => text(rng, "group", pick(&mut rng.clone(), &["member", "owner", "guest"])),
        _ => text(rng, "team", pick(&mut rng.clone(), &["member", "lead", "any"])),
    };
    let object = object(rng, type_name);
    let nests = matches!(&subject, Subject::Userset { .. });
    if nests && *subject.type_name() >= object.type_name && subject.id() >= &*object.id && rng.u8(..8) > 0 {
        // Circles are met, and do not take over.
        return relationship(rng);
    }
    let rarely = if type_name == "group" || type_name == "team" { 40 } else { 8 };
    let condition = (rng.u8(..rarely) == 0).then(|| {
        let values = [(Text::from("x"), rng.u8(..3).into()), (Text::from("\u{e9}\n\""), "\"\u{1F980}\\".into())];
        Arc::new(RelationshipCondition { name: "soon".into(), context: Context::new(values) })
    });
    Relationship { tuple: Tuple { object, relation: relation.into(), subject }, condition }
}

#[derive(Default)]
struct Seen {
    asked: usize,
    allowed: usize,
    errors: usize,
}

async fn world(kind: Kind, seed: u64, seen: &mut Seen) -> Option<Mirror> {
    let mut rng = Rng::with_seed(seed);
    let mut mirror = Mirror::new(kind, seed % 3 == 0).await?;
    let mut models = vec![mirror.model(MODELS[0]).await];
    let mut known: BTreeSet<Tuple> = BTreeSet::new();
    for step in 0..30 {
        match rng.u8(..16) {
            0 => models.push(mirror.model(pick(&mut rng, &[MODELS[0], MODELS[0], MODELS[1], MODELS[2]])).await),
            1..5 => mirror.refresh().await,
            _ => {
                let mut batch = WriteBatch::default();
                for _ in 0..rng.usize(1..if step == 0 { 70 } else { 5 }) {
                    let drawn = relationship(&mut rng);
                    if known.insert(drawn.tuple.clone()) {
                        batch.writes.push(drawn);
                    }
                }
                if step > 0 {
                    for _ in 0..rng.usize(..4) {
                        let gone = known.iter().nth(rng.usize(..known.len().max(1))).cloned();
                        if let Some(gone) = gone.filter(|gone| batch.writes.iter().all(|write| write.tuple != *gone)) {
                            known.remove(&gone);
                            batch.deletes.push(gone);
                        }
                    }
                }
                mirror.write(batch).await;
            }
        }
        for _ in 0..20 {
            let (type_name, relations) = pick(&mut rng, &RELATIONS);
            let subject = match rng.u8(..8) {
                0 => Subject::Userset { object: object(&mut rng, "group"), relation: "member".into() },
                _ => Subject::Object(person(&mut rng)),
            };
            let request = CheckRequest {
                store: mirror.store,
                model: (rng.u8(..3) == 0).then(|| pick(&mut rng, &models)),
                subject,
                relation: pick(&mut rng, relations).into(),
                object: object(&mut rng, type_name),
                contextual_tuples: Vec::new(),
                context: Context::new([(Text::from("y"), rng.u8(..3).into())]),
                properties: RequestProperties::default(),
                consistency: Consistency::MinimizeLatency,
            };
            let cached = mirror.point.check(&request).await;
            let full = mirror.point.check(&CheckRequest { consistency: Consistency::Full, ..request.clone() }).await;
            seen.asked += 1;
            match (cached, full) {
                (Ok(cached), Ok(full)) => {
                    assert_eq!(
                        cached.allowed, full.allowed,
                        "seed {seed}, step {step}: {request:?} by {:?}",
                        cached.source
                    );
                    seen.allowed += usize::from(full.allowed);
                }
                // A condition that lacks a value is met or not, depending on the way.
                (_, Err(_)) | (Err(_), _) => seen.errors += 1,
            }
        }
    }
    Some(mirror)
}

async fn worlds(kind: Kind, seeds: std::ops::Range<u64>) {
    let mut seen = Seen::default();
    let mut met = BTreeMap::<(&str, &str), usize>::new();
    let worlds = seeds.end - seeds.start;
    for seed in seeds {
        let Some(mirror) = world(kind, seed, &mut seen).await else { return };
        for cache_type in ["team_access", "project_visibility", "user_permissions"] {
            for (name, outcome) in
                [("hit", Outcome::Hit), ("negative", Outcome::NegativeHit), ("rejected", Outcome::Rejected)]
            {
                *met.entry((cache_type, name)).or_default() += mirror.hits.of(cache_type, outcome);
            }
        }
    }
    let Seen { asked, allowed, errors } = seen;
    eprintln!("{asked} questions, {allowed} allowed, {errors} errors; the views: {met:?}");
    assert!(allowed > asked / 50 && errors < asked / 4, "{allowed} of {asked} allowed, {errors} errors");
    // What else runs in the cluster may hold stamps of real refreshes back: then everything is passed over, and nothing is wrong.
    let least = if kind == Kind::Mirrored { usize::try_from(worlds).unwrap() } else { 0 };
    assert!(met.values().all(|&count| count > least), "each view must answer in each way: {met:?}");
}

#[tokio::test]
async fn an_answer_that_views_have_a_part_in_is_what_an_evaluation_says() {
    worlds(Kind::Mirrored, 0..16).await;
}

#[tokio::test]
async fn the_same_where_the_origin_is_in_postgres_and_real_refreshes_give_the_stamps() {
    worlds(Kind::Postgres, 100..108).await;
}
