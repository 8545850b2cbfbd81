//! A replica takes the place of PostgreSQL's primary: nobody has to do more than to start the servers that end, which any supervisor does.

use std::net::TcpStream;

use test_services::{PostgresOptions, ReplicatedPostgres, TestDatabase};

use crate::support::child::Server;
use crate::support::client::{allowed, fetch, fill, grant, revoke, until};

/// The exit status of a server that wants to be started again.
const START_AGAIN: Option<i32> = Some(75);

#[test]
fn a_server_whose_postgres_failed_over_without_any_loss_ends_and_answers_again_once_it_is_started_again() {
    let Some(servers) = ReplicatedPostgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&servers.primary().url(), "SELECT").unwrap();
    let (credentials, place) = database.url().rsplit_once('@').unwrap();
    let (_, name) = place.rsplit_once('/').unwrap();
    let (primary, replica) = (servers.primary().address(), servers.replica().address());
    // As somebody writes it who expects a failover.
    let url = format!("postgres.url={credentials}@{primary},{replica}/{name}?target_session_attrs=read-write");
    let start = || {
        let server = Server::start(&["--set", &url, "--set", "postgres.connections=4"]);
        until("it is ready", || fetch(server.public, "/readyz").status == 200);
        server
    };
    let mut before = start();
    let store = fill(&before);
    for user in ["ann", "bob"] {
        assert_eq!(grant(&before, &store, user).status, 200);
        assert!(allowed(&before, &store, user));
    }
    servers.catch_up().unwrap();
    servers.primary().kill();
    servers.promote().unwrap();
    until("it ends by itself", || TcpStream::connect(before.public).is_err());
    let (status, log) = before.ended();
    assert_eq!(status, START_AGAIN, "{log}");
    assert!(log.contains("another history") && log.contains("start the server again"), "{log}");

    let after = start();
    assert!(allowed(&after, &store, "ann"), "nothing was lost");
    assert_eq!(revoke(&after, &store, "ann", "").status, 200);
    assert!(!allowed(&after, &store, "ann") && allowed(&after, &store, "bob"));
}
