//! Servers that speak TLS show the certificate that was made for them, and trust the authority that made it.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use test_services::{Certificates, Postgres, PostgresOptions, Redis, RedisOptions, Tls, psql};

/// What `openssl` reads from a server over TLS after having sent a line; none where it is not on the machine, which is a
/// failure in continuous integration.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn ask(arguments: &[&str], line: &str, until: &str) -> Option<String> {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-quiet", "-verify_return_error"]).args(arguments);
    let client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut client) = client else {
        assert!(std::env::var_os("CI").is_none_or(|value| value.is_empty()), "openssl is not on this machine");
        eprintln!("SKIPPED tiergate-test-services: openssl is not on this machine");
        return None;
    };
    let mut input = client.stdin.take().expect("it is a pipe");
    // It may have ended already, because it does not trust the server.
    let _ = input.write_all(line.as_bytes());
    let (mut said, mut byte) = (String::new(), [0]);
    let mut output = client.stdout.take().expect("it is a pipe");
    while !said.ends_with(until) && output.read(&mut byte).is_ok_and(|count| count > 0) {
        said.push(char::from(byte[0]));
    }
    drop(input);
    client.kill().expect("it is ours");
    client.wait().expect("it ends");
    Some(said)
}

#[test]
fn redis_speaks_tls_to_those_who_trust_its_authority() {
    let certificates = Certificates::make().expect("they can be made");
    let strangers = Certificates::make().expect("they can be made");
    let Some(redis) = Redis::start(&RedisOptions::default().tls(certificates.server())) else { return };
    assert!(redis.url().starts_with("rediss://"), "{}", redis.url());
    let address = redis.address().to_string();
    for (authority, answer) in [(certificates.authority(), "-NOAUTH"), (strangers.authority(), "")] {
        let authority = authority.display().to_string();
        let Some(said) = ask(&["-connect", &address, "-CAfile", &authority], "PING\r\n", "\n") else { return };
        assert!(said.starts_with(answer) && said.is_empty() == answer.is_empty(), "{said}");
    }
    redis.command(&["PING"]).expect("without TLS it answers on its other port");
}

#[test]
fn redis_may_want_a_certificate_of_its_clients() {
    let certificates = Certificates::make().expect("they can be made");
    let tls = Tls { clients_too: true, ..certificates.server() };
    let Some(redis) = Redis::start(&RedisOptions::default().tls(tls)) else { return };
    let (address, authority) = (redis.address().to_string(), certificates.authority().display().to_string());
    let server = ["-connect", &address, "-CAfile", &authority];
    let Some(said) = ask(&server, "PING\r\n", "\n") else { return };
    assert_eq!(said, "", "it spoke to a client without a certificate");
    let [certificate, key] =
        [certificates.client_certificate(), certificates.client_key()].map(|p| p.display().to_string());
    let said = ask(&[&server[..], &["-cert", &certificate, "-key", &key]].concat(), "PING\r\n", "\n");
    assert!(said.as_ref().is_some_and(|said| said.starts_with("-NOAUTH")), "{said:?}");
}

#[test]
fn postgres_speaks_tls_to_those_who_want_it() {
    let certificates = Certificates::make().expect("they can be made");
    let Some(postgres) = Postgres::start(&PostgresOptions::default().tls(certificates.server())) else { return };
    let shown = psql(&postgres.url(), "SHOW ssl").expect("it answers without TLS, too");
    assert_eq!(shown, [[Some("on".to_owned())]]);
    let (address, authority) = (postgres.address().to_string(), certificates.authority().display().to_string());
    // A greeting that it does not understand: what it says to that, it says over TLS.
    let arguments = ["-starttls", "postgres", "-connect", &address, "-CAfile", &authority];
    let greeting = "\0\0\0\u{8}\0\0\0\0";
    let Some(said) = ask(&arguments, greeting, "frontend protocol") else { return };
    assert!(said.ends_with("unsupported frontend protocol"), "{said:?}");
}
