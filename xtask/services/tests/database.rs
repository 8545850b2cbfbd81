//! Tests on one server don't see each other, and leave nothing behind.

use std::sync::atomic::{AtomicUsize, Ordering};

use test_services::{Postgres, PostgresOptions, Template, TestDatabase, psql, shared_postgres};

fn databases(url: &str) -> Vec<String> {
    let rows = psql(url, "SELECT datname FROM pg_database ORDER BY 1").expect("it answers");
    rows.into_iter().flatten().flatten().collect()
}

#[test]
fn each_test_has_its_own_copy_of_the_template_until_it_ends() {
    let Some(server) = shared_postgres() else { return };
    const TABLE: &str = "CREATE TABLE t (a int); INSERT INTO t VALUES (1)";
    let Some(one) = TestDatabase::create(TABLE) else { return };
    let Some(other) = TestDatabase::create(TABLE) else { return };
    one.psql("DELETE FROM t").expect("it answers");
    assert_eq!(other.psql("SELECT a FROM t").expect("it answers"), [[Some("1".to_owned())]]);
    let name = one.name().to_owned();
    assert!(databases(&server).contains(&name));
    drop(one);
    assert!(!databases(&server).contains(&name));
}

#[test]
fn a_template_is_built_once_by_however_many() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let url = postgres.url();
    let built = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let template = Template::built("some migrations", |url| {
                    built.fetch_add(1, Ordering::Relaxed);
                    psql(url, "CREATE TABLE t (a int)")?;
                    Ok(())
                });
                let database = TestDatabase::create_on(&url, template).expect("it can be made");
                database.psql("SELECT a FROM t").expect("the table is there");
            });
        }
    });
    assert_eq!(built.into_inner(), 1);
}

#[test]
fn a_template_that_fails_is_an_error_and_is_built_anew() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let failed = Template::built("content", |url| {
        psql(url, "CREATE TABLE half (a int)")?;
        Err("halfway".into())
    });
    let said = TestDatabase::create_on(&postgres.url(), failed).expect_err("it fails").to_string();
    assert!(said.contains("halfway"), "{said}");
    let built = Template::built("content", |_| Ok(()));
    let database = TestDatabase::create_on(&postgres.url(), built).expect("it can be made");
    database.psql("SELECT a FROM half").expect_err("what was built halfway is gone");
    let said = TestDatabase::create_on(&postgres.url(), "CREATE NONSENSE").expect_err("it fails").to_string();
    assert!(said.contains("syntax error"), "{said}");
}

#[test]
fn what_a_dead_test_left_is_dropped_and_what_a_living_one_uses_is_not() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let url = postgres.url();
    let living = TestDatabase::create_on(&url, "").expect("it can be made");
    psql(&url, "CREATE DATABASE tiergate_test_00000000000000aa").expect("it answers");
    psql(&url, "CREATE DATABASE tiergate_test_of_somebody_else").expect("it answers");
    let next = TestDatabase::create_on(&url, "").expect("it can be made");
    let there = databases(&url);
    assert!(!there.contains(&"tiergate_test_00000000000000aa".to_owned()), "{there:?}");
    for name in [living.name(), next.name(), "tiergate_test_of_somebody_else"] {
        assert!(there.iter().any(|there| there == name), "{name} is not among {there:?}");
    }
}

#[tokio::test]
async fn a_database_can_be_made_and_dropped_within_async_code() {
    let Some(database) = TestDatabase::create("CREATE TABLE t (a int)") else { return };
    let (client, connection) =
        tokio_postgres::connect(database.url(), tokio_postgres::NoTls).await.expect("it takes a connection");
    let connection = tokio::spawn(connection);
    client.batch_execute("INSERT INTO t VALUES (1)").await.expect("the table is there");
    drop(database);
    client.batch_execute("SELECT 1").await.expect_err("the connection is closed with the database");
    assert!(connection.await.expect("it does not panic").is_err());
}
