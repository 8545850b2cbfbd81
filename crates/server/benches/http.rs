//! What a decision costs over HTTP: a hit in memory against a bare handler of the same framework with the same bodies, and a batch of hits against a single
//! one, on the same machine and in the same run.
//!
//! Both servers are processes of their own; this one makes the load, with as many keep-alive connections as each benchmark says. `cargo xtask bench http`.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::post;
use axum::{Json, Router};
use cache_core::testing::measure::{Arguments, Report, pairs, percentile};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 64;
/// Questions of a batch.
const BATCH: usize = 50;
/// Tells a copy of this program to be the bare server, and at which port.
const BARE_PORT: &str = "--bare-port";

fn main() {
    let given: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if let Some(at) = given.iter().position(|argument| argument == BARE_PORT) {
        runtime.block_on(bare(given[at + 1].parse().unwrap()));
        return;
    }
    runtime.block_on(measure(Arguments::read()));
}

#[derive(Deserialize)]
struct Request {
    subject: Entity,
    action: Action,
    resource: Entity,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct Action {
    name: String,
}

#[derive(Serialize)]
struct Answer {
    decision: bool,
    context: Context,
}

#[derive(Serialize)]
struct Context {
    id: String,
    source: &'static str,
}

/// The framework alone: it reads the same body and writes the same answer.
async fn bare(port: u16) {
    let router = Router::new().route(
        "/access/v1/evaluation",
        post(|Json(request): Json<Request>| async move {
            let Request { subject, action, resource } = request;
            let names = [&subject.kind, &subject.id, &action.name, &resource.kind, &resource.id];
            let decision = names.iter().all(|name| !name.is_empty());
            let context = Context { id: "01M829Z754RTYQVWN4C2S9BKPH".to_owned(), source: "l1" };
            Json(Answer { decision, context })
        }),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| stream.set_nodelay(true).unwrap()), router)
        .await
        .unwrap();
}

/// A server process that ends with this one.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn measure(arguments: Arguments) {
    let directory = tempfile::tempdir().unwrap();
    let (ours, admin, theirs) = (free_port(), free_port(), free_port());
    let _ours = Server(
        Command::new(env!("CARGO_BIN_EXE_tiergate"))
            .args(["serve", "--port", &ours.to_string(), "--admin-port", &admin.to_string(), "--data"])
            .arg(directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let _theirs = Server(
        Command::new(std::env::current_exe().unwrap())
            .args([BARE_PORT, &theirs.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let (ours, theirs) = (local(ours), local(theirs));
    wait_for(ours, Duration::from_secs(60)).await;
    wait_for(theirs, Duration::from_secs(5)).await;

    let requests = Arc::new(requests());
    // Each question once, so that what is measured are hits.
    load(ours, &requests, 1, None).await;
    let mut report = Report::new("A decision over HTTP, hits in memory, 64 connections", arguments);
    let window = Duration::from_millis(if arguments.quick { 300 } else { 2_000 });
    let rate = |address: SocketAddr| {
        let requests = Arc::clone(&requests);
        move || {
            let done = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(load(address, &requests, CONNECTIONS, Some(window)))
            });
            done.len() as f64 / window.as_secs_f64()
        }
    };
    let measured = pairs(arguments.pairs(), rate(ours), rate(theirs));
    report.ratio_at_least("requests a second, against the bare framework", "requests/s", &measured, 0.85);
    report.goal("requests a second", measured.left, measured.left >= 5_000.0, ">= 5000");
    let mut latencies = load(ours, &requests, CONNECTIONS, Some(window)).await;
    report.figure("latency at that load, p50 / p99 (us)", {
        let p50 = percentile(&mut latencies, 0.5);
        format!("{p50:.0} / {:.0}", percentile(&mut latencies, 0.99))
    });
    let mut alone = load(ours, &requests, 1, Some(window)).await;
    let p99 = percentile(&mut alone, 0.99);
    report.goal("latency of one connection, p99 (us)", p99, p99 < 1_000.0, "< 1000");
    batches(&mut report, arguments, ours, window).await;
    report.end();
}

/// A batch of questions against a single one, both over OpenFGA's interface.
async fn batches(report: &mut Report, arguments: Arguments, ours: SocketAddr, window: Duration) {
    let path = format!("/stores/{}", only_store(ours).await);
    let singles = Arc::new(singles(&path));
    let batches = Arc::new(batches_of(BATCH, &path));
    load(ours, &singles, 1, None).await;
    load(ours, &batches, 1, None).await;
    let each = |requests: &Arc<Vec<Vec<u8>>>, connections: usize| {
        let requests = Arc::clone(requests);
        move || {
            let done = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(load(ours, &requests, connections, Some(window)))
            });
            window.as_secs_f64() * 1e6 * connections as f64 / done.len() as f64
        }
    };
    for connections in [1, CONNECTIONS] {
        let measured = pairs(arguments.pairs(), each(&batches, connections), each(&singles, connections));
        let name = format!("a batch of {BATCH} against a single check, {connections} connections");
        report.ratio_at_most(&name, "us", &measured, 3.0);
    }
}

/// The id of the demo world's store.
async fn only_store(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /stores HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut buffer = Vec::new();
    answer(&mut stream, &mut buffer).await;
    let text = String::from_utf8(buffer).unwrap();
    text.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0.to_owned()
}

fn singles(path: &str) -> Vec<Vec<u8>> {
    tuple_keys().map(|key| post_request(&format!("{path}/check"), &format!(r#"{{"tuple_key":{key}}}"#))).collect()
}

fn batches_of(size: usize, path: &str) -> Vec<Vec<u8>> {
    let keys: Vec<String> = tuple_keys().collect();
    let batch = |keys: &[String]| {
        let item = |(at, key)| format!(r#"{{"tuple_key":{key},"correlation_id":"{at}"}}"#);
        let checks: Vec<String> = keys.iter().enumerate().map(item).collect();
        post_request(&format!("{path}/batch-check"), &format!(r#"{{"checks":[{}]}}"#, checks.join(",")))
    };
    keys.chunks_exact(size).map(batch).collect()
}

fn tuple_keys() -> impl Iterator<Item = String> {
    let world = authz::demo::World::new(authz::demo::Size::FULL);
    let keys: Vec<String> = world
        .questions(31)
        .take(1_000)
        .map(|question| {
            format!(
                r#"{{"user":"{}","relation":"{}","object":"{}"}}"#,
                question.subject, question.relation, question.object
            )
        })
        .collect();
    keys.into_iter()
}

fn post_request(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Questions of the demo world, as the bytes that go over the wire.
fn requests() -> Vec<Vec<u8>> {
    let world = authz::demo::World::new(authz::demo::Size::FULL);
    world
        .questions(31)
        .take(1_000)
        .map(|question| {
            let body = format!(
                r#"{{"subject":{{"type":"{}","id":"{}"}},"action":{{"name":"{}"}},"resource":{{"type":"{}","id":"{}"}}}}"#,
                question.subject.type_name(),
                question.subject.id(),
                question.relation,
                question.object.type_name,
                question.object.id
            );
            post_request("/access/v1/evaluation", &body)
        })
        .collect()
}

/// Closed loops on some connections: for a time, or through all requests once. Returns the latencies in microseconds.
async fn load(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    window: Option<Duration>,
) -> Vec<f64> {
    let tasks: Vec<_> = (0..connections)
        .map(|connection| {
            let requests = Arc::clone(requests);
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (mut latencies, mut buffer, mut elapsed) = (Vec::new(), Vec::with_capacity(4_096), Duration::ZERO);
                for request in requests.iter().cycle().skip(connection * 13) {
                    match window {
                        Some(window) if elapsed >= window => break,
                        None if latencies.len() == requests.len() => break,
                        _ => {}
                    }
                    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
                    let start = std::time::Instant::now();
                    stream.write_all(request).await.unwrap();
                    answer(&mut stream, &mut buffer).await;
                    elapsed += start.elapsed();
                    latencies.push(start.elapsed().as_secs_f64() * 1e6);
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    latencies
}

/// Reads one answer, which must be a success.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server hung up");
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = std::str::from_utf8(&buffer[..head]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let length: usize = text
            .lines()
            .find_map(|line| line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")))
            .map(|(_, value)| value.trim().parse().unwrap())
            .unwrap();
        if buffer.len() >= head + 4 + length {
            return;
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn wait_for(address: SocketAddr, limit: Duration) {
    let (mut waited, step) = (Duration::ZERO, Duration::from_millis(100));
    while TcpStream::connect(address).await.is_err() || !ready(address).await {
        assert!(waited < limit, "no server at {address} within {limit:?}");
        tokio::time::sleep(step).await;
        waited += step;
    }
}

/// Whether the server answers anything: the demo world is there once it listens for requests.
async fn ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(address).await else { return false };
    let asked = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    asked.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && !answer.is_empty()
}
