//! Data files that cannot be used: each is refused with what to do, and left as it is.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{Store, StoreError, SystemWallClock};
use diesel::connection::SimpleConnection;

use super::{config, place, shell};
use crate::support::open_sqlite;

fn refusal(config: SqliteConfig) -> String {
    match SqliteStore::open(config, Arc::new(SystemWallClock)) {
        Ok(_) => panic!("opened what cannot be used"),
        Err(StoreError::Unusable(message)) => message.to_string(),
        Err(other) => panic!("{other:?}"),
    }
}

async fn filled(path: &Path) {
    let world = open_sqlite(config(path), None).await;
    for n in 0..20 {
        let names: Vec<String> = (0..100).map(|m| format!("doc:{n}-{m}#viewer@user:ann")).collect();
        world.write(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    world.origin.close().await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_alone() {
    let (_directory, path) = place();
    let text = "These are not the bytes you are looking for.\n".repeat(200);
    fs::write(&path, &text).unwrap();
    let message = refusal(config(&path));
    assert!(message.contains("file is not a database") && message.contains("restore a backup"), "{message}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn the_database_of_another_program_is_left_alone() {
    let (_directory, path) = place();
    shell(&path).batch_execute("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup');").unwrap();
    let before = fs::read(&path).unwrap();
    let message = refusal(config(&path));
    assert!(message.contains("belongs to another program"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_file_is_left_alone() {
    let (_directory, path) = place();
    filled(&path).await;
    shell(&path).batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')").unwrap();
    let before = fs::read(&path).unwrap();
    let message = refusal(config(&path));
    assert!(message.contains("newer version of this program (schema 9999; this one knows 0003)"), "{message}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_truncated_file_is_found_at_the_start() {
    let (_directory, path) = place();
    filled(&path).await;
    let length = fs::metadata(&path).unwrap().len();
    for part in [length / 2, 4_096, 100] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(part).unwrap();
        let message = refusal(config(&path));
        assert!(message.contains("restore a backup"), "{part} of {length} bytes: {message}");
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_found_where_it_is_looked_for() {
    let (_directory, path) = place();
    filled(&path).await;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    for page in pages / 2..pages {
        file.write_all_at(&[0xA5; 2_048], page * 4_096).unwrap();
    }
    let mut verify = config(&path);
    verify.verify_on_open = true;
    let message = refusal(verify);
    assert!(message.contains("malformed") && message.contains("restore a backup"), "{message}");
}

#[tokio::test]
async fn damage_that_is_met_while_serving_is_an_error_and_no_answer() {
    let (_directory, path) = place();
    filled(&path).await;
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let pages = file.metadata().unwrap().len() / 4_096;
    for page in 2..pages {
        file.write_all_at(&[0xA5; 4_096], page * 4_096).unwrap();
    }
    let Ok(origin) = SqliteStore::open(config(&path), Arc::new(SystemWallClock)) else { return };
    let Ok(mut snapshot) = origin.snapshot().await else { return };
    let store = authz::store::StoreId(ulid::Ulid::from_parts(1, 1));
    let reads = (0..100).map(|n| crate::support::tuple(&format!("doc:7-{n}#viewer@user:ann")));
    let answer = snapshot.read(store, reads.map(authz::store::TupleRead::Point).collect()).await;
    assert!(matches!(answer, Err(StoreError::Unavailable { .. })), "{answer:?}");
    drop(snapshot);
    let health = origin.health().await.unwrap_err().to_string();
    assert!(health.contains("restore a backup") && !health.contains("try again"), "{health}");
}

#[tokio::test]
async fn a_file_that_is_removed_or_replaced_while_it_is_served_is_not_healthy() {
    let (directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.origin.health().await.unwrap();
    let aside = directory.path().join("aside.db");
    fs::rename(&path, &aside).unwrap();
    let removed = world.origin.health().await.unwrap_err().to_string();
    assert!(removed.contains("was removed while it was in use"), "{removed}");
    fs::copy(&aside, &path).unwrap();
    let replaced = world.origin.health().await.unwrap_err().to_string();
    assert!(replaced.contains("another file was put in the place"), "{replaced}");
}

#[tokio::test]
async fn a_second_process_is_kept_out_and_told_by_whom() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let message = refusal(config(&path));
    let expected = format!("is served by another process (process {})", std::process::id());
    assert!(message.contains(&expected), "{message}");
    world.write(&["doc:1#viewer@user:ann"]).await;
    world.origin.close().await;
    let next = open_sqlite(config(&path), None).await;
    assert!(next.has("doc:1#viewer@user:ann").await);
}

#[tokio::test]
async fn a_link_to_a_served_file_is_no_way_around_its_lock() {
    let (directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    std::os::unix::fs::symlink(&path, other.join("origin.db")).unwrap();
    let message = refusal(config(&other.join("origin.db")));
    assert!(message.contains("is served by another process"), "{message}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1, "nothing was put beside the link");
    world.origin.close().await;
    let through_the_link = open_sqlite(config(&other.join("origin.db")), None).await;
    through_the_link.write(&["doc:1#viewer@user:ann"]).await;
    assert!(refusal(config(&path)).contains("is served by another process"));
}

#[tokio::test]
async fn a_link_to_nothing_is_refused() {
    let (directory, path) = place();
    std::os::unix::fs::symlink(directory.path().join("nowhere.db"), &path).unwrap();
    let message = refusal(config(&path));
    assert!(message.contains("remove the link"), "{message}");
}

#[tokio::test]
async fn a_data_file_with_two_names_is_refused() {
    let (directory, path) = place();
    filled(&path).await;
    let second = directory.path().join("second.db");
    fs::hard_link(&path, &second).unwrap();
    for name in [&path, &second] {
        let message = refusal(config(name));
        assert!(message.contains("has 2 names"), "{message}");
    }
    fs::remove_file(second).unwrap();
    open_sqlite(config(&path), None).await;
}

#[tokio::test]
async fn nobody_else_may_read_a_new_data_file() {
    let (_directory, path) = place();
    let world = open_sqlite(config(&path), None).await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mode = fs::metadata(format!("{}{suffix}", path.display())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let message = refusal(config(Path::new("/proc/nothing/origin.db")));
    assert!(message.contains("/proc/nothing"), "{message}");

    let (directory, path) = place();
    fs::write(&path, "").unwrap();
    let below_a_file = refusal(config(&path.join("origin.db")));
    assert!(below_a_file.contains("data directory"), "{below_a_file}");

    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(closed.join("probe"), "").is_ok() {
        eprintln!("SKIPPED the read-only directory: permissions do not bind this user; run the tests as another one");
        return;
    }
    let message = refusal(config(&closed.join("origin.db")));
    assert!(message.contains("make the data directory writable"), "{message}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_refused_at_the_start() {
    let (_directory, path) = place();
    filled(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        eprintln!("SKIPPED the read-only file: permissions do not bind this user; run the tests as another one");
        return;
    }
    let message = refusal(config(&path));
    assert!(message.contains("writable for the user who runs this"), "{message}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_loses_nothing() {
    let (_directory, path) = place();
    let mut small = config(&path);
    small.max_pages = Some(64);
    let world = open_sqlite(small, None).await;
    let mut stored = Vec::new();
    let refusal = loop {
        let names: Vec<String> = (0..50).map(|n| format!("doc:{}-{n}#viewer@user:ann", stored.len())).collect();
        let batch = crate::support::writes(&names.iter().map(String::as_str).collect::<Vec<_>>());
        match world.origin.write(world.store, batch).await {
            Ok(_) => stored.extend(names),
            Err(error) => break error,
        }
        assert!(stored.len() < 10_000, "the limit does not hold");
    };
    assert!(refusal.to_string().contains("free space"), "{refusal}");
    assert!(!stored.is_empty());
    assert_eq!(world.sink.applied().len(), stored.len() + 1, "what was refused was not told");
    world.has(&stored[0]).await;
    world.delete(&[&stored[0]]).await;
    world.origin.close().await;

    let roomy = open_sqlite(config(&path), None).await;
    for name in &stored[1..] {
        assert!(roomy.has(name).await, "{name} was acknowledged");
    }
    roomy.write(&["doc:new#viewer@user:ann"]).await;
}
