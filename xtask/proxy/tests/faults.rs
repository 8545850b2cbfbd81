//! Each fault over real sockets, before a server that echoes.

#![expect(clippy::disallowed_methods, reason = "what a network delays is late in real time")]

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use fault_proxy::{Direction, End, Fault, Proxy};

/// How long is listened to what says nothing. It bounds what is shown, not what is waited for.
const A_MOMENT: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(20);

/// Sends back what it gets, and the end as well.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut reader = stream.try_clone().expect("it is open");
                let mut writer = stream;
                let _ = io::copy(&mut reader, &mut writer);
                let _ = writer.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

fn start() -> (Proxy, TcpStream) {
    let proxy = Proxy::start_with(echo(), 7).expect("a port is free");
    let mut client = connect(&proxy).expect("it listens");
    // Once it has echoed, the whole way is open.
    assert_eq!(ask(&mut client, "hello").expect("it echoes"), "hello");
    (proxy, client)
}

fn connect(proxy: &Proxy) -> io::Result<TcpStream> {
    let client = TcpStream::connect(proxy.address())?;
    client.set_read_timeout(Some(SOON))?;
    Ok(client)
}

fn ask(client: &mut TcpStream, text: &str) -> io::Result<String> {
    client.write_all(text.as_bytes())?;
    read(client, text.len())
}

fn read(client: &mut TcpStream, bytes: usize) -> io::Result<String> {
    let mut buffer = vec![0; bytes];
    client.read_exact(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

/// Asserts that nothing comes for a moment and that the connection stays open.
fn is_silent(client: &mut TcpStream) {
    client.set_read_timeout(Some(A_MOMENT)).expect("it is a time");
    let error = client.read(&mut [0]).expect_err("it should be silent");
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    client.set_read_timeout(Some(SOON)).expect("it is a time");
}

#[test]
fn latency_is_waited_for_once_in_each_direction() {
    let (proxy, mut client) = start();
    let fixed = Duration::from_millis(60);
    proxy.set(Fault::Latency { fixed, jitter: Duration::from_millis(5) });
    let began = Instant::now();
    assert_eq!(ask(&mut client, "late").expect("it echoes"), "late");
    assert!(began.elapsed() >= 2 * fixed, "{:?}", began.elapsed());
    proxy.set_in(Direction::Replies, Fault::None);
    let began = Instant::now();
    ask(&mut client, "less").expect("it echoes");
    assert!(began.elapsed() >= fixed, "{:?}", began.elapsed());
}

#[test]
fn a_drip_takes_its_time() {
    let (proxy, mut client) = start();
    proxy.set_in(Direction::Replies, Fault::Drip { bytes: 2, every: Duration::from_millis(10) });
    let began = Instant::now();
    assert_eq!(ask(&mut client, "0123456789").expect("it echoes"), "0123456789");
    assert!(began.elapsed() >= Duration::from_millis(50), "{:?}", began.elapsed());
}

#[test]
fn a_blackhole_swallows_and_says_nothing() {
    let (proxy, mut client) = start();
    proxy.set(Fault::Blackhole);
    client.write_all(b"lost").expect("the system takes it");
    is_silent(&mut client);
    let mut new = connect(&proxy).expect("it still accepts");
    new.write_all(b"lost").expect("the system takes it");
    is_silent(&mut new);
    proxy.set(Fault::None);
    assert_eq!(ask(&mut client, "found").expect("it echoes"), "found", "what was swallowed stays lost");
    assert_eq!(proxy.counters().requests.swallowed, 8);
}

#[tokio::test]
async fn a_gate_holds_replies_until_it_opens() {
    let (proxy, mut client) = start();
    proxy.set_in(Direction::Replies, Fault::Hold);
    client.write_all(b"first").expect("the system takes it");
    let seen = proxy.until(|seen| seen.replies.read == 10).await;
    assert_eq!(seen.replies.written, 5, "what came before");
    is_silent(&mut client);
    proxy.set_in(Direction::Replies, Fault::None);
    assert_eq!(read(&mut client, 5).expect("it comes"), "first");
}

#[test]
fn who_refuses_is_refused_and_open_connections_stay() {
    let (proxy, mut client) = start();
    proxy.refuse();
    assert_eq!(connect(&proxy).expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);
    assert_eq!(ask(&mut client, "still").expect("it echoes"), "still");
    proxy.accept().expect("the port is still free");
    let mut new = connect(&proxy).expect("it listens again");
    assert_eq!(ask(&mut new, "again").expect("it echoes"), "again");
}

#[tokio::test]
async fn a_reset_breaks_the_connection_on_both_sides() {
    let (proxy, mut client) = start();
    proxy.reset();
    assert_eq!(client.read(&mut [0]).expect_err("it is broken").kind(), ErrorKind::ConnectionReset);
    proxy.until(|seen| seen.open == 0).await;
    let mut new = connect(&proxy).expect("it listens");
    assert_eq!(ask(&mut new, "new").expect("it echoes"), "new");
}

#[tokio::test]
async fn a_close_ends_the_stream() {
    let (proxy, mut client) = start();
    proxy.close();
    assert_eq!(client.read(&mut [0]).expect("it ended properly"), 0);
    proxy.until(|seen| seen.open == 0).await;
}

#[test]
fn after_a_half_close_the_other_half_goes_on() {
    let (proxy, mut client) = start();
    proxy.set_in(Direction::Replies, Fault::HalfClose);
    assert_eq!(client.read(&mut [0]).expect("it ended properly"), 0);
    let before = proxy.counters().requests.written;
    client.write_all(b"more").expect("it still takes");
    let began = Instant::now();
    while proxy.counters().requests.written < before + 4 {
        assert!(began.elapsed() < SOON, "requests no longer get through: {:?}", proxy.counters());
        std::thread::yield_now();
    }
}

#[test]
fn a_cut_ends_the_connection_after_so_many_bytes() {
    for (end, how) in [(End::Close, None), (End::Reset, Some(ErrorKind::ConnectionReset))] {
        let (proxy, mut client) = start();
        proxy.set_in(Direction::Replies, Fault::Cut { after: 3, end });
        client.write_all(b"12345").expect("the system takes it");
        let mut got = Vec::new();
        let error = client.read_to_end(&mut got).err().map(|error| error.kind());
        // A broken connection may take with it what was on its way.
        assert!(b"123".starts_with(&got) && (end == End::Reset || got.len() == 3), "{got:?}");
        assert_eq!(error, how);
    }
}

#[test]
fn a_byte_is_corrupted_on_the_way_back_alone() {
    let (proxy, mut client) = start();
    proxy.set_in(Direction::Replies, Fault::CorruptAt { offset: 1 });
    assert_eq!(ask(&mut client, "aaa").expect("it echoes"), "a`a");
    assert_eq!(ask(&mut client, "aaa").expect("it echoes"), "aaa");
    proxy.set_in(Direction::Replies, Fault::Corrupt { one_in: 1 });
    let said = ask(&mut client, "aaaa").expect("it echoes");
    assert!(said.chars().all(|c| c != 'a'), "{said}");
    let seen = proxy.counters();
    assert_eq!((seen.replies.corrupted, seen.requests.corrupted), (5, 0));
}

#[test]
fn one_connection_may_have_a_fault_of_its_own() {
    let (proxy, mut client) = start();
    let mut other = connect(&proxy).expect("it listens");
    ask(&mut other, "hello").expect("it echoes");
    let port = other.local_addr().expect("it is connected");
    let connections = proxy.connections();
    assert_eq!(connections.len(), 2);
    let of_other = connections.iter().find(|connection| connection.client() == port).expect("it is open");
    of_other.set_in(Direction::Requests, Fault::Blackhole);
    other.write_all(b"lost").expect("the system takes it");
    assert_eq!(ask(&mut client, "fine").expect("it echoes"), "fine");
    is_silent(&mut other);
}

#[tokio::test]
async fn ends_go_through_and_a_server_that_is_gone_breaks_connections() {
    let (proxy, mut client) = start();
    client.shutdown(Shutdown::Write).expect("it is open");
    assert_eq!(client.read(&mut [0]).expect("the server ends, too"), 0);
    proxy.until(|seen| seen.open == 0).await;

    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port is free");
    let proxy = Proxy::start(nobody).expect("a port is free");
    let mut client = connect(&proxy).expect("it listens");
    assert_eq!(client.read(&mut [0]).expect_err("nobody is behind it").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_lot_of_bytes_arrive_as_they_were() {
    let (proxy, client) = start();
    let sent: Vec<u8> = (0..4 << 20).map(|at: u32| at.to_le_bytes()[at as usize % 3]).collect();
    let (mut writer, bytes) = (client.try_clone().expect("it is open"), sent.clone());
    let writing = std::thread::spawn(move || writer.write_all(&bytes).and_then(|()| writer.shutdown(Shutdown::Write)));
    let (mut reader, mut got) = (client, Vec::new());
    reader.read_to_end(&mut got).expect("it comes");
    writing.join().expect("it does not panic").expect("it goes");
    assert!(got == sent, "{} bytes of {} came, or others", got.len(), sent.len());
    assert_eq!(proxy.counters().replies.written, 5 + sent.len() as u64);
}
