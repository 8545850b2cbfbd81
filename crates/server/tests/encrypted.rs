//! TLS: what has to be there before a server may be reached from elsewhere, and what its callers see.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;
use test_services::Certificates;

use crate::support::child::{Server, run};
use crate::support::client::until;
use crate::support::wire::{exchange, get};

/// Certificate and keys of a server.
struct Files {
    directory: TempDir,
    certificates: Certificates,
}

impl Files {
    fn new() -> Self {
        let (directory, certificates) = (tempfile::tempdir().unwrap(), Certificates::make().unwrap());
        let files = Self { directory, certificates };
        let made = run(&["keys", "new", files.text("keys.toml").as_str(), "--name", "one", "--scope", "check,write"]);
        assert!(made.status.success(), "{made:?}");
        cache_redis::secret_file::create(&files.path("one.key"), &String::from_utf8(made.stdout).unwrap()).unwrap();
        files.install(&files.certificates);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn install(&self, certificates: &Certificates) {
        let tls = certificates.server();
        std::fs::copy(&tls.certificate, self.path("server.crt")).unwrap();
        let key = std::fs::read_to_string(&tls.key).unwrap();
        cache_redis::secret_file::replace(&self.path("server.key"), &key).unwrap();
    }

    /// The settings of certificate and keys.
    fn settings(&self) -> Vec<String> {
        let files = [("tls.cert_file", "server.crt"), ("tls.key_file", "server.key"), ("auth.keys_file", "keys.toml")];
        files.iter().flat_map(|(key, file)| ["--set".to_owned(), format!("{key}={}", self.text(file))]).collect()
    }

    fn serve(&self, more: &[&str]) -> Output {
        let settings = self.settings();
        let mut arguments = vec!["serve", "--port", "0", "--admin-port", "0", "--demo", "off"];
        arguments.extend(settings.iter().map(String::as_str));
        arguments.extend(more);
        run(&arguments)
    }

    fn import(&self, url: &str, more: &[&str]) -> Output {
        std::fs::write(self.path("one.fga.yaml"), STORE).unwrap();
        run(&[&["import", &self.text("one.fga.yaml"), "--url", url], more].concat())
    }
}

const STORE: &str = "\
name: one
model: |
  model
    schema 1.1
  type user
  type document
    relations
      define viewer: [user]
tuples:
  - user: user:ann
    relation: viewer
    object: document:1
";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn who_may_be_reached_from_elsewhere_has_both_keys_and_a_certificate() {
    let files = Files::new();
    let none = run(&["serve", "--address", "0.0.0.0", "--demo", "off"]);
    assert!(
        none.status.code() == Some(2) && said(&none).contains("neither auth.keys_file nor tls.cert_file"),
        "{}",
        said(&none)
    );
    let keys = format!("auth.keys_file={}", files.text("keys.toml"));
    let keys_alone = run(&["serve", "--address", "0.0.0.0", "--demo", "off", "--set", &keys]);
    assert!(said(&keys_alone).contains("keys travel in clear"), "{}", said(&keys_alone));
}

#[test]
fn a_server_with_a_certificate_speaks_tls_alone_and_another_one_takes_its_place() {
    let files = Files::new();
    let settings = files.settings();
    let mut arguments = vec!["--address", "0.0.0.0"];
    arguments.extend(settings.iter().map(String::as_str));
    let server = Server::start(&arguments);
    let port = server.public.port();
    let url = format!("https://localhost:{port}");
    let authority = files.certificates.authority();
    let authority = authority.to_str().unwrap();
    let health = |ca: &str| run(&["health", "--url", &url, "--ca-file", ca]);
    assert!(health(authority).status.success());

    // Nobody is believed whom nobody vouches for, and nothing is said in clear.
    let stranger = Certificates::make().unwrap();
    let unknown = health(stranger.authority().to_str().unwrap());
    assert!(unknown.status.code() == Some(2) && said(&unknown).contains("TLS did not begin"), "{}", said(&unknown));
    let by_address = run(&["health", "--url", &format!("https://127.0.0.2:{port}"), "--ca-file", authority]);
    assert_eq!(by_address.status.code(), Some(2), "the certificate names another server: {}", said(&by_address));
    let plain = exchange(([127, 0, 0, 1], port).into(), &get("/livez"));
    assert!(!plain.contains("HTTP/1.1 2"), "{plain}");

    let refused = files.import(&url, &["--ca-file", authority]);
    assert!(said(&refused).contains("401"), "{}", said(&refused));
    let imported = files.import(&url, &["--ca-file", authority, "--key-file", &files.text("one.key")]);
    assert!(imported.status.success(), "{}", said(&imported));

    // Another certificate, while it runs. One that does not fit its key changes nothing.
    std::fs::copy(&stranger.server().certificate, files.path("server.crt")).unwrap();
    server.hang_up();
    assert!(health(authority).status.success(), "the key is of another one");
    files.install(&stranger);
    server.hang_up();
    until("it shows the other one", || health(stranger.authority().to_str().unwrap()).status.success());
    assert_eq!(health(authority).status.code(), Some(2));
}

#[test]
fn a_certificate_that_can_not_be_used_is_named_with_what_to_do() {
    let files = Files::new();
    std::fs::write(files.path("server.crt"), "nothing").unwrap();
    assert!(said(&files.serve(&[])).contains("tls.cert_file"), "{}", said(&files.serve(&[])));
    files.install(&files.certificates);
    set_mode(&files.path("server.key"), 0o644);
    assert!(said(&files.serve(&[])).contains("chmod 600"));
    files.install(&Certificates::make().unwrap());
    std::fs::copy(files.certificates.server().certificate, files.path("server.crt")).unwrap();
    assert!(said(&files.serve(&[])).contains("does not fit the certificate"));
    // A key that lost its lines, or got into the other file, is not said.
    files.install(&files.certificates);
    let key = std::fs::read_to_string(files.path("server.key")).unwrap();
    let secret = key.lines().nth(1).unwrap();
    for (file, text) in [
        ("server.key", key.replace('\n', "\\n")),
        ("server.key", key.replace('\n', "")),
        ("server.crt", key.replace('\n', "\\n")),
        ("server.crt", key.replace('\n', "")),
    ] {
        files.install(&files.certificates);
        cache_redis::secret_file::replace(&files.path(file), &text).unwrap();
        let said = said(&files.serve(&[]));
        let as_numbers = secret.bytes().take(8).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
        assert!(said.contains("tls.") && !said.contains(&secret[..20]) && !said.contains(&as_numbers), "{said}");
    }
    files.install(&files.certificates);
    let half = run(&["serve", "--demo", "off", "--set", &format!("tls.cert_file={}", files.text("server.crt"))]);
    assert!(said(&half).contains("belong together"), "{}", said(&half));
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}
