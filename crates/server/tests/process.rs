//! The binary as a process: ports, connections, limits, the end.

use std::io::{Read, Write};

use crate::support::child::{Server, run};
use crate::support::client::until;
use crate::support::question;
use crate::support::wire::{connect, exchange, get, post};

#[test]
fn both_listeners_answer_and_each_only_what_is_its_own() {
    let server = Server::start(&[]);
    assert!(exchange(server.public, &get("/livez")).starts_with("HTTP/1.1 200"));
    assert!(exchange(server.admin, &get("/livez")).starts_with("HTTP/1.1 200"));
    assert!(exchange(server.admin, &get("/admin/v1/cache")).starts_with("HTTP/1.1 200"));
    assert!(exchange(server.public, &get("/admin/v1/cache")).starts_with("HTTP/1.1 404"));
}

#[test]
fn an_address_that_others_can_reach_is_refused_with_what_to_do() {
    for flags in [["--address", "0.0.0.0"], ["--set", "admin.address=192.0.2.1"], ["--address", "::"]] {
        let output = run(&["serve", "--port", "0", "--admin-port", "0", flags[0], flags[1]]);
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("neither auth.keys_file nor tls.cert_file") && said.contains("bind to 127.0.0.1 or ::1"),
            "{said}"
        );
    }
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let server = Server::start(&[]);
    let taken = server.public.port().to_string();
    let output = run(&["--port", &taken, "--admin-port", "0"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("127.0.0.1:{taken} is in use")) && said.contains("--port"), "{said}");
    let output = run(&["--port", "0", "--admin-port", &taken]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--admin-port"));
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = Server::start(&[]);
    let mut stream = connect(server.public);
    for _ in 0..3 {
        stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        assert!(read_answer(&mut stream).starts_with("HTTP/1.1 200"));
    }
}

#[test]
fn one_connection_too_many_is_told_so_and_there_is_room_again_later() {
    let server = Server::start(&["--set", "http.max_connections=1"]);
    let mut first = connect(server.public);
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_answer(&mut first);
    let mut second = connect(server.public);
    let mut answer = String::new();
    second.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");

    first.write_all(&get("/livez")).unwrap();
    first.read_to_end(&mut Vec::new()).unwrap();
    // The place is given back when the server has seen the end, which is after the client has.
    let served = (0..1_000).any(|_| exchange(server.public, &get("/livez")).starts_with("HTTP/1.1 200"));
    assert!(served);
}

#[test]
fn a_head_that_does_not_come_to_its_end_is_cut_off() {
    let server = Server::start(&["--set", "http.header_timeout_ms=100"]);
    let mut stream = connect(server.public);
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: te").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("200"));
}

#[test]
fn a_body_that_does_not_come_to_its_end_is_cut_off() {
    let server = Server::start(&["--set", "http.request_timeout_ms=100"]);
    let begun = b"POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                  content-length: 1000\r\n\r\n{\"subject\":";
    assert!(exchange(server.public, begun).starts_with("HTTP/1.1 503"));
}

#[test]
fn a_head_that_is_too_large_and_one_with_too_many_headers_are_431() {
    let server = Server::start(&[]);
    let long = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(1 << 20));
    assert!(exchange(server.public, long.as_bytes()).starts_with("HTTP/1.1 431"));
    let many = format!("GET /livez HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(1_000));
    assert!(exchange(server.public, many.as_bytes()).starts_with("HTTP/1.1 431"));
}

#[test]
fn a_request_with_two_lengths_is_refused() {
    let server = Server::start(&[]);
    let two =
        b"POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}";
    assert!(exchange(server.public, two).starts_with("HTTP/1.1 400"));
    let bare_line_feed = b"GET /livez HTTP/1.1\r\nx: a\0b\r\n\r\n";
    assert!(exchange(server.public, bare_line_feed).starts_with("HTTP/1.1 400"));
}

#[test]
fn a_body_of_a_hundred_megabytes_is_refused_before_it_is_read() {
    let server = Server::start(&[]);
    let head = "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-type: application/json\r\ncontent-length: 100000000\r\n\r\n";
    assert!(exchange(server.public, head.as_bytes()).starts_with("HTTP/1.1 413"));
}

#[test]
fn a_request_that_was_begun_is_answered_before_the_process_ends() {
    let mut server = Server::start(&[]);
    let (mut begun, body) = begin(&server);
    server.terminate();
    // The port is closed when nobody new gets in.
    while std::net::TcpStream::connect(server.public).is_ok() {}
    begun.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    begun.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "an answer, though there is no store: {answer}");
    let (status, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let mut server = Server::start(&["--set", "shutdown.grace_ms=60000"]);
    let mut idle = connect(server.public);
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    read_answer(&mut idle);
    server.terminate();
    assert_eq!(server.ended().0, Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut server = Server::start(&["--set", "shutdown.grace_ms=60000", "--set", "http.request_timeout_ms=60000"]);
    let (_begun, _) = begin(&server);
    server.terminate();
    while std::net::TcpStream::connect(server.public).is_ok() {}
    server.terminate();
    assert_eq!(server.ended().0, Some(130));
}

#[test]
fn requests_that_do_not_end_are_left_behind_after_the_grace() {
    let mut server = Server::start(&["--set", "shutdown.grace_ms=50", "--set", "http.request_timeout_ms=60000"]);
    let (_begun, _) = begin(&server);
    server.terminate();
    let (status, log) = server.ended();
    assert_eq!(status, Some(0), "{log}");
    assert!(log.contains("shutdown.grace_ms"), "{log}");
}

#[test]
fn nobody_is_named_in_the_log() {
    let mut server = Server::start(&["--demo", "auto", "--log-level", "debug"]);
    let body = question("canary-of-the-log").to_string().replace("document", "generation");
    assert!(exchange(server.public, &post("/access/v1/evaluation", &body)).starts_with("HTTP/1.1 200"));
    server.terminate();
    let (_, log) = server.ended();
    assert!(log.contains("/access/v1/evaluation") && log.contains("subject="), "{log}");
    assert!(!log.contains("canary-of-the-log"), "{log}");
}

#[test]
fn why_a_gateways_request_was_refused_is_in_the_log_and_not_in_the_answer() {
    let mut server = Server::start(&["--log-level", "info"]);
    let asked = "GET /forward-auth HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-forwarded-method: GET\r\n\
                 x-forwarded-uri: /canary/of-the-path?canary=of-the-query\r\nx-forwarded-user: canary\r\n\r\n";
    let answer = exchange(server.public, asked.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 403") && answer.ends_with("\r\n\r\n"), "{answer}");
    server.terminate();
    let (_, log) = server.ended();
    assert!(log.contains("gateway.routes is empty") && log.contains("no route for this path"), "{log}");
    assert!(!log.contains("canary"), "{log}");
}

/// Begins a request whose handler waits for its body: the server asks for it when it has come that far.
fn begin(server: &Server) -> (std::net::TcpStream, String) {
    let body = question("ann").to_string();
    let head = format!(
        "POST /access/v1/evaluation HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    let mut stream = connect(server.public);
    stream.write_all(head.as_bytes()).unwrap();
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body)
}

/// Reads one answer with a short body from a connection that stays open.
fn read_answer(stream: &mut std::net::TcpStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4_096];
    while !answer.ends_with(b"}") {
        let read = stream.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "closed: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn whoever_reads_no_answers_loses_the_place_to_whoever_does() {
    let server = Server::start(&["--set", "http.max_connections=1", "--set", "http.request_timeout_ms=500"]);
    let mut stalled = connect(server.public);
    stalled.set_nonblocking(true).unwrap();
    // As many as the buffers of both sides take, and more.
    let request = get("/openapi.json");
    let request = String::from_utf8(request).unwrap().replace("connection: close\r\n", "");
    let mut sent = 0;
    while sent < 10_000 && stalled.write_all(request.as_bytes()).is_ok() {
        sent += 1;
    }
    assert!(sent > 100, "{sent} were sent");
    until("its place is free", || exchange(server.public, &get("/livez")).starts_with("HTTP/1.1 200"));
    drop(stalled);
}
