//! The faults that know Redis' protocol, before a real Redis.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fault_proxy::{Direction, Fault, Proxy};
use test_services::{Redis, RedisOptions};

const SOON: Duration = Duration::from_secs(20);

fn start() -> Option<(Redis, Proxy, TcpStream)> {
    let redis = Redis::start(&RedisOptions::default())?;
    let proxy = Proxy::start_with(redis.address(), 7).expect("a port is free");
    let mut client = TcpStream::connect(proxy.address()).expect("it listens");
    client.set_read_timeout(Some(SOON)).expect("it is a time");
    assert_eq!(ask(&mut client, &format!("AUTH {}\r\n", redis.password()), 5), "+OK\r\n");
    assert_eq!(ask(&mut client, "MSET a 1 b 2\r\n", 5), "+OK\r\n");
    Some((redis, proxy, client))
}

fn ask(client: &mut TcpStream, text: &str, bytes: usize) -> String {
    client.write_all(text.as_bytes()).expect("the system takes it");
    let mut buffer = vec![0; bytes];
    client.read_exact(&mut buffer).expect("it answers");
    String::from_utf8_lossy(&buffer).into_owned()
}

#[test]
fn two_replies_are_exchanged() {
    let Some((_redis, proxy, mut client)) = start() else { return };
    proxy.set_in(Direction::Replies, Fault::SwapReplies { patience: SOON });
    assert_eq!(ask(&mut client, "GET a\r\nGET b\r\n", 14), "$1\r\n2\r\n$1\r\n1\r\n");
    assert_eq!(proxy.counters().replies.swapped, 1);
    proxy.set_in(Direction::Replies, Fault::None);
    assert_eq!(ask(&mut client, "GET a\r\nGET b\r\n", 14), "$1\r\n1\r\n$1\r\n2\r\n");
}

#[test]
fn values_are_corrupted_and_their_frames_are_not() {
    let Some((redis, proxy, mut client)) = start() else { return };
    proxy.set_in(Direction::Replies, Fault::CorruptValues { one_in: 1 });
    let said = ask(&mut client, "GET a\r\n", 7);
    assert!(said.starts_with("$1\r\n") && said.ends_with("\r\n") && said != "$1\r\n1\r\n", "{said:?}");
    assert_eq!(redis.command(&["GET", "a"]).expect("it answers").text(), Some("1"), "what is stored is not touched");
}
