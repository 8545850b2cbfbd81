//! `tiergate cache train`

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authz::decide::{CACHE_TYPES, CachedValue, cache_type};
use cache_core::CacheType;
use cache_redis::train::{MIN_SAMPLES, Sampled, Sizes, Trained, Wanted, sample, train};

use super::{NO, YES, fail, say, small_runtime};
use crate::cli::CacheTrainArgs;
use crate::config::Settings;
use crate::open::existing_keyring;

pub(super) fn run(args: &CacheTrainArgs) -> ExitCode {
    match carry_out(args) {
        Ok(true) => YES,
        Ok(false) => ExitCode::from(NO),
        Err(problem) => fail(problem),
    }
}

/// Whether a dictionary was written.
fn carry_out(args: &CacheTrainArgs) -> Result<bool, String> {
    let settings = args.settings.sources().load().map_err(|error| error.to_string())?.settings;
    let types = types(&args.types)?;
    let sampled = small_runtime().map_err(|error| error.to_string())?.block_on(samples(args, &settings, &types))?;
    say(counts(&sampled, &settings));
    let mut written = Vec::new();
    for cache_type in &types {
        let samples = sampled.by_type.get(&cache_type.index()).map_or(&[][..], Vec::as_slice);
        if samples.len() < MIN_SAMPLES {
            say(format_args!(
                "{}: {} values of {} bytes and more, and {MIN_SAMPLES} are needed; no dictionary",
                cache_type.name(),
                samples.len(),
                min_bytes(&settings)
            ));
            continue;
        }
        match train(samples, args.max_bytes as usize, settings.redis.compress_level) {
            Ok(trained) => {
                say(worth(*cache_type, &trained));
                if trained.held_out.with < trained.held_out.without {
                    let path = write(&args.output, *cache_type, &trained)?;
                    written.push((cache_type.name(), path));
                } else {
                    say("  it makes nothing smaller; no dictionary");
                }
            }
            Err(error) => say(format_args!("{}: {error}; no dictionary", cache_type.name())),
        }
    }
    if written.is_empty() {
        say("No dictionary was written. Values are compressed all the same, without one.");
        return Ok(false);
    }
    say("\nGive these files to every instance, and then put this into the settings of each:\n\n[redis.dictionaries]");
    for (name, path) in &written {
        say(format_args!("{name} = {:?}", path.display().to_string()));
    }
    if settings.redis.compress_min_bytes == 0 {
        say("\nredis.compress_min_bytes is 0, so that nothing is compressed: set it, to 256 for example.");
    }
    Ok(true)
}

fn types(names: &[String]) -> Result<Vec<CacheType>, String> {
    if names.is_empty() {
        return Ok(CACHE_TYPES.to_vec());
    }
    let known = || CACHE_TYPES.map(|known| known.name()).join(", ");
    let of =
        |name: &String| cache_type(name).ok_or_else(|| format!("{name:?} is no cache type; there are {}", known()));
    names.iter().map(of).collect()
}

async fn samples(args: &CacheTrainArgs, settings: &Settings, types: &[CacheType]) -> Result<Sampled, String> {
    let config = settings.redis.tier().ok_or("redis.url is not set, so that there is nothing to take samples from")?;
    let keyring = existing_keyring(settings).await.map_err(|error| error.to_string())?;
    let wanted = Wanted { types, samples: args.samples as usize, min_bytes: min_bytes(settings) };
    sample::<CachedValue>(&config, &keyring, wanted).await.map_err(|error| error.to_string())
}

/// What is smaller is not compressed, so that it should not be trained on either.
fn min_bytes(settings: &Settings) -> usize {
    match settings.redis.compress_min_bytes {
        0 => crate::config::Redis::default().compress_min_bytes,
        bytes => bytes,
    }
}

fn counts(sampled: &Sampled, settings: &Settings) -> String {
    let Sampled { names, values, other_keys, other_dictionaries, .. } = sampled;
    let mut text = format!("looked at {names} names of {}:*, read {values} values", settings.redis.namespace);
    if *other_keys > 0 {
        text += &format!("; {other_keys} are under another master key");
    }
    if *other_dictionaries > 0 {
        text +=
            &format!("; {other_dictionaries} are compressed with a dictionary that redis.dictionaries does not name");
    }
    text
}

fn worth(cache_type: CacheType, trained: &Trained) -> String {
    let Trained { dictionary, samples, held_out: Sizes { values, bytes, without, with } } = trained;
    format!(
        "{}: trained on {samples} values, tried on {values} others: {bytes} bytes as they are, {without} compressed, \
         {with} with the dictionary of {} bytes",
        cache_type.name(),
        dictionary.as_bytes().len()
    )
}

/// Writes a dictionary whole or not at all. It holds parts of values, so that only its owner may read it.
fn write(directory: &Path, cache_type: CacheType, trained: &Trained) -> Result<PathBuf, String> {
    let name = format!("{}-{:08x}.dict", cache_type.name(), trained.dictionary.id());
    let path = directory.join(&name);
    let written = || -> std::io::Result<PathBuf> {
        std::fs::create_dir_all(directory)?;
        let draft = directory.join(format!("{name}.unfinished"));
        let _ = std::fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(trained.dictionary.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&draft, &path)?;
        path.canonicalize()
    };
    written().map_err(|error| format!("{} can't be written: {error}", path.display()))
}
