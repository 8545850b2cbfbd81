//! PostgreSQL as somebody sees it who writes there by other means than ours.

use authz::relation::{Relationship, RelationshipCondition, Tuple};
use authz::store::postgres::MIGRATIONS;
use authz::store::{StoreId, WriteBatch};
use authz::views;
use cache_pg::View;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::tokio_postgres::{Client, NoTls};
use test_services::{Template, TestDatabase};

pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = pg_log::tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client.batch_execute("SET search_path = tiergate; SET jit = off").await.expect("it can be set");
    client
}

/// A database with everybody's tables; none, and a line that says so, where there is no server.
pub(crate) fn database() -> Option<TestDatabase> {
    let components = [
        (pg_log::COMPONENT, pg_log::migrations()),
        ("origin", MIGRATIONS),
        (views::access_patterns::COMPONENT, views::access_patterns::MIGRATIONS),
    ];
    let content: Vec<&str> = components.iter().flat_map(|(_, all)| all.iter().map(|one| one.sql)).collect();
    TestDatabase::create(Template::built(&content.join(";"), move |url| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let (mut client, connection) = pg_log::tokio_postgres::connect(url, NoTls).await?;
            tokio::spawn(connection);
            for (component, migrations) in components {
                pg_log::migrate(&mut client, "tiergate", component, migrations).await?;
            }
            Ok(())
        })
    }))
}

/// What an application glues together: the definition of a view, and the tier's view.
pub(crate) fn view(definition: views::Definition) -> View {
    let views::Definition { name, query, keys, value, columns, every, limit } = definition;
    let view = View::new(name, query).value(value).every(every).limit(limit);
    let view = keys.iter().fold(view, |view, key| view.key(*key));
    columns.iter().fold(view, |view, column| view.column(*column))
}

/// Deletes and inserts the rows of a batch, in one transaction.
pub(crate) async fn write(client: &Client, store: StoreId, batch: &WriteBatch) {
    let store = store.0.to_string();
    client.batch_execute("BEGIN").await.expect("a transaction begins");
    for tuple in &batch.deletes {
        let delete = "DELETE FROM tuples WHERE store = $1 AND object_type = $2 AND object_id = $3 AND relation = $4 \
                      AND subject_type = $5 AND subject_relation = $6 AND subject_id = $7";
        assert_eq!(client.execute(delete, &columns(&&*store, &key(tuple))).await.expect("rows can be deleted"), 1);
    }
    for Relationship { tuple, condition } in &batch.writes {
        let insert = "INSERT INTO tuples (store, object_type, object_id, relation, subject_type, subject_relation, \
                      subject_id, condition, condition_context) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let (name, context) = match condition.as_deref() {
            None => (String::new(), String::new()),
            Some(RelationshipCondition { name, context }) => {
                let values: serde_json::Map<_, _> =
                    context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
                (name.to_string(), serde_json::Value::Object(values).to_string())
            }
        };
        let (store, key) = (&*store, key(tuple));
        let mut all = columns(&store, &key);
        all.extend([&name as &(dyn ToSql + Sync), &context]);
        assert_eq!(client.execute(insert, &all).await.expect("rows can be inserted"), 1);
    }
    client.batch_execute("COMMIT").await.expect("it commits");
}

/// The columns of a relationship's key after the store.
fn key(Tuple { object, relation, subject }: &Tuple) -> [&str; 6] {
    let relation_of = subject.relation().map_or("", |relation| relation);
    [&object.type_name, &object.id, relation, subject.type_name(), relation_of, subject.id()]
}

fn columns<'a>(store: &'a &str, key: &'a [&str; 6]) -> Vec<&'a (dyn ToSql + Sync)> {
    std::iter::once(store as _).chain(key.iter().map(|column| column as _)).collect()
}
