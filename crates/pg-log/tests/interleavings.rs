//! Random interleavings of writers with polls, compared with a model: a published position sees a change exactly when the change is applied here.
//!
//! The seed is printed where it fails; `SEED=…` in the environment runs that one alone.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pg_log::{LogReader, Pg, PgSnapshot};
use support::{Database, Recorder, reader, until, xid};
use tokio_postgres::{Client, Row};

const SEEDS: u64 = 24;
const STEPS: usize = 120;
const WRITERS: usize = 5;

/// One writer, as the model knows it.
struct Writer {
    client: Client,
    open: Option<Open>,
}

struct Open {
    number: u64,
    names: Vec<String>,
    /// How many names there were at each savepoint.
    savepoints: Vec<usize>,
}

struct World {
    random: fastrand::Rng,
    writers: Vec<Writer>,
    /// What was committed, by the number of its transaction.
    committed: BTreeMap<u64, Vec<String>>,
    next: usize,
    /// Answers to polls that have not been applied yet, in the transactions that asked.
    answers: Vec<Vec<Row>>,
}

impl World {
    fn name(&mut self) -> String {
        self.next += 1;
        format!("n{}", self.next)
    }

    async fn write(&mut self, at: usize) {
        let name = self.name();
        let choice = self.random.u8(..12);
        let writer = &mut self.writers[at];
        let Some(open) = &mut writer.open else {
            writer.client.batch_execute("BEGIN").await.unwrap();
            // Some take their number long before they write, some only by writing.
            if choice % 2 == 0 {
                writer.client.batch_execute(&format!("INSERT INTO things VALUES ('{name}', '', '')")).await.unwrap();
            }
            let number = xid(&writer.client).await;
            let names = if choice % 2 == 0 { vec![name] } else { Vec::new() };
            writer.open = Some(Open { number, names, savepoints: Vec::new() });
            return;
        };
        match choice {
            0..=4 => {
                writer.client.batch_execute(&format!("INSERT INTO things VALUES ('{name}', '', '')")).await.unwrap();
                open.names.push(name);
            }
            5 => {
                writer.client.batch_execute("SAVEPOINT s").await.unwrap();
                open.savepoints.push(open.names.len());
            }
            6 if !open.savepoints.is_empty() => {
                writer.client.batch_execute("ROLLBACK TO s; RELEASE s").await.unwrap();
                let kept = open.savepoints.pop().unwrap();
                open.names.truncate(kept);
            }
            7 => {
                writer.client.batch_execute("ROLLBACK").await.unwrap();
                writer.open = None;
            }
            _ => {
                writer.client.batch_execute("COMMIT").await.unwrap();
                let open = writer.open.take().unwrap();
                self.committed.insert(open.number, open.names);
            }
        }
    }

    /// Asks, as an evaluation does, in a transaction that reads; the answer is applied later, or never.
    async fn ask(&mut self, pg: &Pg, reader: &LogReader) {
        let Some(poll) = reader.poll_statement() else { return };
        let mut exclusive = pg.exclusive().await.unwrap();
        let transaction = exclusive
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .unwrap();
        self.answers.push(transaction.query(poll.sql(), &poll.params()).await.unwrap());
    }

    fn apply(&mut self, reader: &LogReader, recorder: &Recorder) {
        if self.answers.is_empty() {
            return;
        }
        let answer = self.answers.swap_remove(self.random.usize(..self.answers.len()));
        if self.random.u8(..5) == 0 {
            return;
        }
        let before = reader.position().unwrap();
        let polled = reader.apply_polled(&answer).unwrap();
        self.check(&polled.snapshot, recorder);
        assert!(reader.position().unwrap().covers(&before), "an older snapshot replaced a newer one");
    }

    /// What a position sees is applied: all of it that was committed, and nothing that was not.
    fn check(&self, position: &PgSnapshot, recorder: &Recorder) {
        let told = recorder.told();
        assert_eq!(told.floor, 0);
        for (number, names) in &self.committed {
            for name in names {
                assert!(
                    !position.sees(*number) || told.rows.iter().any(|row| row.fields[0].as_ref() == Some(name)),
                    "{position} sees {number}, whose {name} was not told"
                );
            }
        }
        for row in told.rows.iter().filter(|row| row.kind == "thing") {
            let names = self.committed.get(&row.revision.get());
            let name = row.fields[0].as_ref().unwrap();
            assert!(names.is_some_and(|names| names.contains(name)), "{name} of {} was not committed", row.revision);
        }
    }
}

async fn run(seed: u64) {
    let Some(database) = Database::with_log() else { return };
    let mut config = database.config();
    config.log.poll_interval = Duration::from_millis(if seed % 3 == 0 { 3_600_000 } else { 3 });
    let pg = Pg::new(config).unwrap();
    let (reader, recorder) = reader(&pg).await;
    let mut world = World {
        random: fastrand::Rng::with_seed(seed),
        writers: Vec::new(),
        committed: BTreeMap::new(),
        next: 0,
        answers: Vec::new(),
    };
    for _ in 0..WRITERS {
        let client = database.foreign().await;
        // Ours and strangers', who notify.
        if world.random.bool() {
            client.batch_execute("SET tiergate.writer = on").await.unwrap();
        }
        world.writers.push(Writer { client, open: None });
    }
    for _ in 0..STEPS {
        match world.random.u8(..10) {
            0..=5 => {
                let at = world.random.usize(..WRITERS);
                world.write(at).await;
            }
            6 | 7 => world.ask(&pg, &reader).await,
            8 => world.apply(&reader, &recorder),
            _ => reader.wake(),
        }
        // The position first: what is told only grows.
        let position = reader.position().unwrap();
        world.check(&position, &recorder);
    }
    finish(world, &reader, &recorder).await;
}

async fn finish(mut world: World, reader: &LogReader, recorder: &Arc<Recorder>) {
    while !world.answers.is_empty() {
        world.apply(reader, recorder);
    }
    for writer in &mut world.writers {
        if let Some(open) = writer.open.take() {
            writer.client.batch_execute("COMMIT").await.unwrap();
            world.committed.insert(open.number, open.names);
        }
    }
    reader.wake();
    let committed = &world.committed;
    until("everything that was committed is seen", async || {
        committed.keys().all(|number| reader.position().unwrap().sees(*number))
    })
    .await;
    world.check(&reader.position().unwrap(), recorder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a seed may be chosen by hand")]
async fn a_position_sees_exactly_what_is_applied() {
    let chosen: Option<u64> = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = chosen.map_or(0..SEEDS, |seed| seed..seed + 1);
    for seed in seeds {
        let local = tokio::task::LocalSet::new();
        let result = local.run_until(async { tokio::task::spawn_local(run(seed)).await }).await;
        assert!(result.is_ok(), "with SEED={seed}");
    }
}
