//! A tier of one's own in under 80 lines: a directory of files, for values that are too many for memory. Everything else is the chain's: what may be used,
//! for how long, who loads. And ten lines more give it the suite that every tier passes.
//!
//! ```text
//! cargo run -p tiergate-cache-core --example custom_tier    # uses it
//! cargo test -p tiergate-cache-core --example custom_tier   # judges it, law by law
//! ```
#![allow(clippy::print_stdout, reason = "an example is a program whose output is for people")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io, path::PathBuf};

use async_trait::async_trait;
use cache_core::testing::{ALPHA, TestKey, TestValue};
use cache_core::{
    CacheLayer, Capabilities, Chain, Draft, Entry, Error, ErrorKind, Fill, Filled, Identity, Key, Load, Moment, Now,
    Stamp, StoredValue, Tag, TypeSet, Usage, tag,
};
use tempfile::TempDir;

/// Files in a directory that ends with it. The calls block: a tier for production would leave them to threads.
struct FileLayer(TempDir);

impl FileLayer {
    fn path(&self, key: &Key<'_>) -> PathBuf {
        self.0.path().join(format!("{:016x}", key.digest().low()))
    }

    /// The whole key, for two keys may share a name, and all of the provenance: nothing may come back newer than it was.
    fn write<V: StoredValue>(&self, fill: &Fill<'_, V>) -> io::Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let (key, entry) = (fill.key().encoded(), fill.entry());
        let ends = [entry.soft_expiry().as_millis(), entry.hard_expiry().as_millis()];
        let numbers = [key.len() as u64, entry.stamp().get(), ends[0], ends[1], entry.types().bits().into()];
        let tags = std::iter::once(entry.tags().len() as u64).chain(entry.tags().iter().map(|tag| tag.hash()));
        let mut bytes: Vec<u8> = numbers.into_iter().chain(tags).flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(&key);
        entry.value().write(&mut bytes);
        // Whoever reads meanwhile finds the whole old file or the whole new one.
        let new = self.0.path().join(format!("new-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir_all(self.0.path())?;
        fs::write(&new, bytes).and_then(|()| fs::rename(&new, self.path(fill.key())))
    }

    fn read<V: StoredValue>(key: &Key<'_>, mut bytes: &[u8]) -> Option<Entry<V>> {
        let mut number = || Some(u64::from_le_bytes(bytes.split_off(..8)?.try_into().ok()?));
        let (length, stamp, soft, hard, types) = (number()?, number()?, number()?, number()?, number()?);
        let tags: Option<Vec<Tag>> = (0..number()?).map(|_| number().map(Tag::from_hash)).collect();
        (bytes.split_off(..length as usize)? == &*key.encoded()).then_some(())?;
        let (stamp, types) = (Stamp::new(stamp), TypeSet::from_bits(types as u32));
        let (value, read_set, hard_expiry) = (V::read(bytes)?, tags?.into_iter().collect(), Moment::from_millis(hard));
        Some(Entry::decoded(Draft { value, stamp, read_set, types, hard_expiry }, Moment::from_millis(soft)))
    }
}

#[async_trait]
impl<V: StoredValue> CacheLayer<V> for FileLayer {
    fn name(&self) -> &'static str {
        "files"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { local: false, durable: false, fallible: true, fillable: true }
    }
    fn bind(&self, _: Identity) {
        let _ = fs::remove_dir_all(self.0.path()); // what was filled under another history means nothing
    }
    fn get_now(&self, _: &Key<'_>) -> Now<V> {
        Now::NotLocal
    }
    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        let read = |key| Ok(found(fs::read(self.path(key)), "get")?.and_then(|bytes| Self::read(key, &bytes)));
        keys.iter().map(read).collect()
    }
    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        fills.iter().try_for_each(|fill| found(self.write(fill), "fill").map(drop))?;
        Ok(Filled { stored: fills.len(), too_large: 0 })
    }
    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        keys.iter().try_for_each(|key| found(fs::remove_file(self.path(key)), "remove").map(drop))
    }
    async fn clear(&self) -> Result<(), Error> {
        found(fs::remove_dir_all(self.0.path()), "clear").map(drop)
    }
    fn usage(&self) -> Usage {
        let sizes = || fs::read_dir(self.0.path()).into_iter().flatten().flatten().flat_map(|file| file.metadata());
        let (entries, weight_bytes) = (sizes().count() as u64, sizes().map(|file| file.len()).sum());
        Usage { entries, weight_bytes, capacity_bytes: u64::MAX }
    }
}

/// What is not there is absent; anything else that fails is an error, and never taken for a miss.
fn found<T>(result: io::Result<T>, operation: &'static str) -> Result<Option<T>, Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(ErrorKind::Unavailable, "files", operation, error.to_string())),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Chain::<TestValue>::builder().tier(FileLayer(TempDir::new()?)).build()?;
    let key = TestKey::new(ALPHA, "user 42");
    let load = |load: Load| async move {
        load.read(tag!("user", 42));
        Ok::<_, io::Error>(TestValue::new("ann"))
    };
    for _ in 0..2 {
        let answer = cache.get_or_load(&key, load).await?;
        println!("{} from {:?}", answer.value().text(), answer.source);
    }
    cache.invalidate(tag!("user", 42)).await?;
    println!(
        "invalidated: the file is still there, and {:?} has the next answer",
        cache.get_or_load(&key, load).await?.source
    );
    Ok(())
}

#[cfg(test)]
mod laws {
    use cache_core::testing::{Fixture, Setting, SharedLayer};

    use super::FileLayer;

    #[derive(Default)]
    struct Files;

    impl Fixture for Files {
        async fn layer(&self, _: &Setting) -> SharedLayer {
            SharedLayer::new(FileLayer(tempfile::tempdir().expect("a directory")))
        }
    }

    cache_core::conformance!(Files);
}
