//! Import and export: how many relationships a second go into a running server and out of it, by the commands that users have.
//!
//! The server is a process with its data in SQLite, each write durable before it is answered; the command is another one on the same machine. Each round
//! imports into a store of its own. Besides the time it is told what processor time both took, which other programs on the machine disturb less.
//! `cargo xtask bench transfer`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use cache_core::testing::measure::{Arguments, Report, median, time};

const MODEL: &str = "\
name: transfer
model: |
  model
    schema 1.1
  type user
  type team
    relations
      define member: [user, team#member]
  type document
    relations
      define parent: [folder]
      define viewer: [user, team#member] or viewer from parent
  type folder
    relations
      define viewer: [user, team#member]
tuples: []
tests: []
";

const BINARY: &str = env!("CARGO_BIN_EXE_tiergate");
/// The goal.
const A_SECOND: f64 = 20_000.0;
/// The kernel's unit of processor time.
const TICKS_A_SECOND: f64 = 100.0;

fn main() {
    let arguments = Arguments::read();
    let (count, rounds) = if arguments.quick { (20_000, 1) } else { (200_000, 5) };
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    std::fs::write(place("model.fga.yaml"), MODEL).unwrap();
    std::fs::write(place("tuples.csv"), tuples(count)).unwrap();
    let server = Server::start(&place("data"));
    let (mut imports, mut exports) = (Figures::default(), Figures::default());
    for _ in 0..rounds {
        let store = store(&server, &place("model.fga.yaml"));
        let tuples = place("tuples.csv");
        imports.add(&server, &["import", tuples.to_str().unwrap(), "--store", &store]);
        let exported = place("exported.csv");
        exports.add(&server, &["export", "--store", &store, "--output", exported.to_str().unwrap()]);
        assert_eq!(lines(&exported), lines(&tuples), "what went in comes out");
    }
    let title = format!("{count} relationships from CSV over HTTP into SQLite, {rounds} rounds");
    let mut report = Report::new(&title, arguments);
    let figure = imports.a_second(count);
    report.goal("imported a second, median", figure, figure >= A_SECOND, ">= 20,000");
    imports.show(&report, count);
    report.figure("exported a second, median", format!("{:>12.0}", exports.a_second(count)));
    exports.show(&report, count);
    report.figure("load average of the machine", std::fs::read_to_string("/proc/loadavg").unwrap().trim());
    report.end();
}

/// Times of some rounds, in seconds.
#[derive(Default)]
struct Figures {
    elapsed: Vec<f64>,
    server: Vec<f64>,
    command: Vec<f64>,
}

impl Figures {
    /// Runs a command to its end.
    fn add(&mut self, server: &Server, arguments: &[&str]) {
        let before = (cpu_seconds(Some(&server.child)), cpu_seconds(None));
        let (elapsed, output) = time(|| server.command(arguments).output().unwrap());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.elapsed.push(elapsed.as_secs_f64());
        self.server.push(cpu_seconds(Some(&server.child)) - before.0);
        self.command.push(cpu_seconds(None) - before.1);
    }

    fn a_second(&self, count: usize) -> f64 {
        count as f64 / median(self.elapsed.clone())
    }

    fn show(&self, report: &Report, count: usize) {
        let best = self.elapsed.iter().copied().fold(f64::INFINITY, f64::min);
        report.figure("  best round", format!("{:>12.0}", count as f64 / best));
        let each = |seconds: &[f64]| median(seconds.to_vec()) * 1e6 / count as f64;
        let (server, command) = (each(&self.server), each(&self.command));
        report.figure("  processor time of server / command (us each)", format!("{server:.1} / {command:.1}"));
    }
}

/// A server process that ends with this one.
struct Server {
    child: Child,
    /// Kept open: a server that can't say anything might not like it.
    _output: BufReader<ChildStdout>,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(data: &Path) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["serve", "--port", "0", "--admin-port", "0", "--demo", "off", "--data"]).arg(data);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = output.by_ref().lines().map(Result::unwrap);
        let address = lines.find(|line| line.contains("decisions")).unwrap();
        let url = format!("http://{}", address.rsplit_once("http://").unwrap().1.trim());
        Self { child, _output: output, url }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).args(["--url", &self.url]);
        command
    }
}

/// A new store with the model.
fn store(server: &Server, model: &Path) -> String {
    let output = server.command(&["import", model.to_str().unwrap()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.strip_prefix("store ").and_then(|rest| rest.split_once(':')).unwrap().0.to_owned()
}

/// Users, teams and parents in the order of no index.
fn tuples(count: usize) -> String {
    let mut text =
        "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n".to_owned();
    let mut numbers: Vec<usize> = (0..count).collect();
    fastrand::Rng::with_seed(1).shuffle(&mut numbers);
    for number in numbers {
        let document = number / 4;
        let subject = match number % 4 {
            0 => format!("folder,f{},,parent", document / 100),
            1 => format!("team,t{},member,viewer", document % 700),
            other => format!("user,u{},,viewer", (document * 31 + other * 977) % 5_000),
        };
        writeln!(text, "{subject},document,d{document:06},,").unwrap();
    }
    text
}

/// The lines of a file in their own order.
fn lines(path: &PathBuf) -> Vec<String> {
    let mut lines: Vec<String> = std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Processor time of a process, or of the children of this one that have ended.
fn cpu_seconds(of: Option<&Child>) -> f64 {
    let (process, first) = of.map_or(("self".to_owned(), 13), |child| (child.id().to_string(), 11));
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // Behind the program's name, which may hold anything: the third field and those after it.
    let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[first..first + 2].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / TICKS_A_SECOND
}
