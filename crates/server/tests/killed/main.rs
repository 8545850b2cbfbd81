//! A server that is killed in the middle of its writes loses nothing that it acknowledged, and shows nothing half written.
//!
//! Sixteen writers send batches of two relationships, and deletions of batches that were acknowledged before. What was sent and what was acknowledged is kept in a
//! journal in this process. At a random moment the server gets a SIGKILL; it is started again on the same data and compared with the journal:
//! an acknowledged batch is there whole, an acknowledged deletion is gone whole, and what was never acknowledged is there whole or not at all.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod client;
mod journal;
#[path = "../killable.rs"]
mod process;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::Client;
use journal::{Fate, Journal};
use process::Process;

const WRITERS: usize = 16;
/// The longest time from the first write to the kill, doubled as long as hardly anything is acknowledged within it: machines differ.
const WINDOW: Duration = Duration::from_millis(50);
const LONGEST_WINDOW: Duration = Duration::from_millis(1_600);
/// How often, unless `TIERGATE_KILLS` says another number.
const KILLS: usize = 100;

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_written_is_seen() {
    let kills = std::env::var_os("TIERGATE_KILLS").map_or(KILLS, |text| text.to_str().unwrap().parse().unwrap());
    let seed = std::env::var_os("TIERGATE_SEED")
        .map_or_else(|| fastrand::u64(..), |text| text.to_str().unwrap().parse().unwrap());
    println!("TIERGATE_SEED={seed} repeats the moments of the kills");
    let mut rng = fastrand::Rng::with_seed(seed);
    let directory = tempfile::tempdir().unwrap();
    let store = prepare(directory.path());
    let mut journal = Journal::default();
    let mut window = WINDOW;
    for kill in 0..kills {
        let moment = Duration::from_micros(rng.u64(0..=window.as_micros() as u64));
        journal = round(directory.path(), &store, kill, moment, journal);
        if journal.counts().0 <= 2 * kill {
            window = (window * 2).min(LONGEST_WINDOW);
        }
        compare(directory.path(), &store, &journal, Some(kill), seed);
    }
    let unknown = compare(directory.path(), &store, &journal, None, seed);
    let (acknowledged, deleted) = journal.counts();
    println!(
        "{kills} kills: {acknowledged} batches acknowledged, {deleted} of them deleted again, {unknown} of unknown fate, 0 lost, 0 halves"
    );
    assert!(acknowledged > kills, "a run in which hardly anything is acknowledged shows nothing");
}

/// A store with a model, on a server that ends in peace.
fn prepare(data: &Path) -> String {
    let server = Process::start(data, &[]);
    let mut client = Client::connect(server.address()).unwrap();
    let (status, body) = client.post("/stores", r#"{"name":"killed"}"#).unwrap();
    assert_eq!(status, 201, "{body}");
    let store = serde_json::from_str::<serde_json::Value>(&body).unwrap()["id"].as_str().unwrap().to_owned();
    let model = r#"{"schema_version":"1.1","type_definitions":[{"type":"user"},{"type":"team","relations":{"member":{"this":{}}},
        "metadata":{"relations":{"member":{"directly_related_user_types":[{"type":"user"}]}}}}]}"#;
    let (status, body) = client.post(&format!("/stores/{store}/authorization-models"), model).unwrap();
    assert_eq!(status, 201, "{body}");
    store
}

/// Writes until the kill.
fn round(data: &Path, store: &str, kill: usize, moment: Duration, journal: Journal) -> Journal {
    let server = Process::start(data, &[]);
    let address = server.address();
    let journal = Arc::new(Mutex::new(journal));
    let killed = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(std::sync::Barrier::new(WRITERS + 1));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (journal, killed, begun) = (Arc::clone(&journal), Arc::clone(&killed), Arc::clone(&begun));
            let path = format!("/stores/{store}/write");
            std::thread::spawn(move || {
                let mut client = Client::connect(address).unwrap();
                begun.wait();
                for number in 0.. {
                    if killed.load(Ordering::Relaxed) {
                        return;
                    }
                    let batch = format!("{kill}-{writer}-{number}");
                    // The intent stands in the journal before a byte is sent, the acknowledgement after its last byte came.
                    journal.lock().unwrap().intends(kill, &batch, Fate::Written);
                    match client.post(&path, &body("writes", &batch)) {
                        Ok((200, _)) => journal.lock().unwrap().acknowledged(&batch, Fate::Written),
                        Ok((status, answer)) => panic!("a write was refused with {status}: {answer}"),
                        Err(_) => return,
                    }
                    if number % 3 == 0 {
                        journal.lock().unwrap().intends(kill, &batch, Fate::Deleted);
                        match client.post(&path, &body("deletes", &batch)) {
                            Ok((200, _)) => journal.lock().unwrap().acknowledged(&batch, Fate::Deleted),
                            Ok((status, answer)) => panic!("a deletion was refused with {status}: {answer}"),
                            Err(_) => return,
                        }
                    }
                }
            })
        })
        .collect();
    begun.wait();
    pause(moment);
    // SIGKILL.
    drop(server);
    killed.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().unwrap();
    }
    Arc::into_inner(journal).unwrap().into_inner().unwrap()
}

/// A batch: two relationships that must be there together or not at all.
fn body(what: &str, batch: &str) -> String {
    let tuple = |half: &str| format!(r#"{{"user":"user:{half}","relation":"member","object":"team:{batch}"}}"#);
    format!(r#"{{"{what}":{{"tuple_keys":[{},{}]}}}}"#, tuple("left"), tuple("right"))
}

/// Compares the data with the journal: the batches of one round, or all. Returns how many have a fate that nobody was told.
fn compare(data: &Path, store: &str, journal: &Journal, round: Option<usize>, seed: u64) -> usize {
    let server = Process::start(data, &[]);
    let mut client = Client::connect(server.address()).unwrap();
    // One list of everything at the end; single questions after a round, because the list grows.
    let stored: HashSet<String> = match round {
        None => client.read_all(store),
        Some(round) => {
            journal.batches(round).flat_map(|(batch, _)| client.read_object(store, &format!("team:{batch}"))).collect()
        }
    };
    let mut unknown = 0;
    for (batch, record) in journal.all().filter(|(_, record)| round.is_none_or(|round| record.round == round)) {
        let half = |half: &str| stored.contains(&format!("team:{batch}#member@user:{half}"));
        let (left, right) = (half("left"), half("right"));
        assert_eq!(left, right, "batch {batch} is half written (TIERGATE_SEED={seed})");
        match record.certain() {
            Some(Fate::Written) => assert!(left, "batch {batch} was acknowledged and is lost (TIERGATE_SEED={seed})"),
            Some(Fate::Deleted) => assert!(!left, "batch {batch} was deleted and is back (TIERGATE_SEED={seed})"),
            None => unknown += 1,
        }
    }
    unknown
}

/// Lets the writers work for a while: the moment of a kill is a time and nothing else.
#[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is tried out")]
fn pause(moment: Duration) {
    std::thread::sleep(moment);
}
