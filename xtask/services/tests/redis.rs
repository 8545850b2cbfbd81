//! A private Redis does what a test orders it to do.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use test_services::{Place, Redis, RedisOptions, Reply, shared_redis};

/// How long a paused server is listened to. It bounds what is shown, not what is waited for.
const A_MOMENT: Duration = Duration::from_millis(200);
/// How long the system may take to notice an end.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_server_answers_and_ends_with_its_value() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    assert_eq!(redis.command(&["SET", "a", "1"]).expect("it answers"), Reply::Text("OK".to_owned()));
    assert_eq!(redis.command(&["GET", "a"]).expect("it answers").text(), Some("1"));
    assert!(redis.url().starts_with("redis://:"), "{}", redis.url());
    let address = redis.address();
    drop(redis);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn only_the_password_opens_it() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let mut stream = TcpStream::connect(redis.address()).expect("it listens");
    stream.write_all(b"PING\r\n").expect("it reads");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("it answers");
    assert!(line.starts_with("-NOAUTH"), "{line}");
}

#[test]
fn settings_and_users_are_taken() {
    let options = RedisOptions::default().maxmemory("3mb", "allkeys-lru").user("reader on >secret ~* +get");
    let Some(redis) = Redis::start(&options) else { return };
    let setting = redis.command(&["CONFIG", "GET", "maxmemory-policy"]).expect("it answers");
    assert_eq!(
        setting,
        Reply::List(["maxmemory-policy", "allkeys-lru"].map(|text| Reply::Text(text.to_owned())).into())
    );
    let dry = |command: &str| redis.command(&["ACL", "DRYRUN", "reader", command, "a"]).expect("it answers");
    assert_eq!(dry("GET").text(), Some("OK"));
    assert!(dry("DEL").text().is_some_and(|said| said.contains("no permissions")), "{:?}", dry("DEL"));
}

#[test]
fn a_paused_server_keeps_its_connections_and_says_nothing() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let mut stream = TcpStream::connect(redis.address()).expect("it listens");
    stream.set_read_timeout(Some(A_MOMENT)).expect("it is a time");
    redis.pause();
    stream.write_all(b"PING\r\n").expect("the system takes it");
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    assert!(reader.read_line(&mut line).is_err(), "it answered {line}");
    redis.resume();
    reader.get_ref().set_read_timeout(Some(SOON)).expect("it is a time");
    reader.read_line(&mut line).expect("it answers again");
    assert!(line.starts_with("-NOAUTH"), "{line}");
}

#[test]
fn a_killed_server_comes_back_on_its_port_empty_or_with_what_it_wrote_down() {
    for (options, kept) in
        [(RedisOptions::default(), Reply::Nil), (RedisOptions::default().appendonly(), Reply::Text("1".to_owned()))]
    {
        let Some(redis) = Redis::start(&options) else { return };
        redis.command(&["SET", "a", "1"]).expect("it answers");
        let (url, pid) = (redis.url(), redis.pid());
        redis.kill();
        assert_eq!(redis.pid(), None);
        assert!(redis.command(&["PING"]).is_err());
        redis.restart().expect("it starts again");
        assert_eq!(redis.url(), url);
        assert_ne!(redis.pid(), pid);
        assert_eq!(redis.command(&["GET", "a"]).expect("it answers"), kept);
    }
}

#[test]
fn a_paused_server_can_be_killed_and_dropped() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    redis.pause();
    redis.kill();
    redis.restart().expect("it starts again");
    redis.pause();
    let address = redis.address();
    drop(redis);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    if Redis::start(&RedisOptions::default()).is_none() {
        return;
    }
    let options = RedisOptions::default().setting("no-such-directive", "1");
    let said = Redis::try_start(&Place::of_this_build(), &options).err().expect("it can't start").to_string();
    assert!(said.contains("no-such-directive") && said.contains("log"), "{said}");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the end of a process that is not ours is waited for in real time")]
fn a_server_ends_although_its_owner_is_killed() {
    const HOLD: &str = "TIERGATE_TEST_HOLDS_A_SERVER";
    if std::env::var_os(HOLD).is_some() {
        // The owner: a copy of this test, in a process of its own.
        let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
        println!("\nlistens on {}", redis.address());
        std::io::stdin().read_line(&mut String::new()).expect("it is a pipe");
        unreachable!("it is killed before anybody writes");
    }
    let mut owner = Command::new(std::env::current_exe().expect("a test has a path"));
    owner.args(["--exact", "a_server_ends_although_its_owner_is_killed", "--nocapture"]).env(HOLD, "yes");
    let mut owner = owner.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let lines = BufReader::new(owner.stdout.take().expect("it is a pipe")).lines();
    let address = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("listens on ").map(str::to_owned));
    let Some(address) = address else {
        assert!(owner.wait().expect("it ends").success());
        return;
    };
    assert!(TcpStream::connect(&address).is_ok(), "it listens");
    owner.kill().expect("it is ours");
    owner.wait().expect("it ends");
    let began = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(began.elapsed() < SOON, "it still listens on {address}");
        std::thread::yield_now();
    }
}

#[test]
fn prefixes_of_the_shared_server_differ() {
    let Some(redis) = shared_redis() else { return };
    assert_ne!(redis.prefix(), redis.prefix());
}
