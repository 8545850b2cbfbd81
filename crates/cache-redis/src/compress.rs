//! zstd where it makes a value smaller, with dictionaries that were trained on values like it.
//!
//! Contexts are kept and used again, because to make one costs more than to compress a decision. What is decompressed has a declared length,
//! which is checked before anything is allocated, and a buffer of that length, past which nothing is written.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use zstd::bulk::{Compressor, Decompressor};

use crate::config::{Compression, RedisConfig};
use crate::error::ConfigError;

/// The size of a trained dictionary unless another one is asked for, in bytes.
pub const DEFAULT_DICTIONARY_BYTES: usize = 8 << 10;
/// The largest file of a dictionary, in bytes.
pub const MAX_DICTIONARY_BYTES: u64 = 1 << 20;
/// Contexts that are kept for each dictionary and level; more exist only while they are in use.
const MAX_IDLE_CONTEXTS: usize = 16;

/// A zstd dictionary. Its id, which zstd derives from its content, travels with what it compressed.
#[derive(Clone, PartialEq, Eq)]
pub struct Dictionary {
    id: u32,
    bytes: Arc<[u8]>,
}

impl Dictionary {
    /// Trains a dictionary on samples: some hundreds of values of one cache type, as [`cache_core::StoredValue::write`] writes them.
    ///
    /// # Errors
    /// Where zstd finds too little in them: too few, too small, or too different.
    pub fn train<S: AsRef<[u8]>>(samples: &[S], max_bytes: usize) -> Result<Self, ConfigError> {
        let bytes = zstd::dict::from_samples(samples, max_bytes).map_err(|error| ConfigError::Unusable {
            what: "a list of samples",
            problem: format!(
                "{} samples did not make a dictionary ({error}); take more, or larger ones",
                samples.len()
            ),
        })?;
        Self::from_bytes(bytes)
    }

    /// A dictionary from its bytes.
    ///
    /// # Errors
    /// Where they are not those of a trained dictionary.
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Result<Self, ConfigError> {
        let bytes = bytes.into();
        match zstd::zstd_safe::get_dict_id_from_dict(&bytes) {
            Some(id) => Ok(Self { id: id.get(), bytes }),
            None => Err(ConfigError::Unusable {
                what: "a dictionary",
                problem: "it has no id, so that it was not trained; train one on samples".to_owned(),
            }),
        }
    }

    /// A dictionary from its file.
    ///
    /// # Errors
    /// Where the file can't be read, is too large, or holds no dictionary.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let refuse =
            |problem: String| ConfigError::File { what: "the dictionary", path: path.display().to_string(), problem };
        let size = std::fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
        if size > MAX_DICTIONARY_BYTES {
            return Err(refuse(format!("it has {size} bytes, and at most {MAX_DICTIONARY_BYTES} are read")));
        }
        let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
        Self::from_bytes(bytes).map_err(|error| refuse(error.to_string()))
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its bytes, to write them into a file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// Why something can't be decompressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unpackable {
    /// Its dictionary is not known here.
    UnknownDictionary,
    /// It is larger than it may be, or than it says.
    TooLarge,
    /// zstd can't read it, or it is smaller than it says.
    Broken,
}

/// Compresses and decompresses by the settings.
pub(crate) struct Compressors {
    by_type: BTreeMap<String, Packer>,
    by_dictionary: HashMap<u32, Unpacker>,
    max_bytes: usize,
}

struct Packer {
    level: i32,
    min_bytes: usize,
    dictionary: Option<Dictionary>,
    contexts: Contexts<Compressor<'static>>,
}

struct Unpacker {
    dictionary: Option<Dictionary>,
    contexts: Contexts<Decompressor<'static>>,
}

/// What a value became.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The dictionary's id; 0 for none.
    pub(crate) dictionary: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Compressors {
    /// Reads the dictionaries that the settings name.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        let mut known = config.dictionaries.iter().map(|path| Dictionary::load(path)).collect::<Result<Vec<_>, _>>()?;
        let mut by_type = BTreeMap::new();
        for (name, compression) in &config.compression {
            let Compression::Zstd { level, min_bytes, dictionary } = compression else { continue };
            let dictionary = dictionary.as_deref().map(Dictionary::load).transpose()?;
            known.extend(dictionary.clone());
            let contexts = Contexts::default();
            by_type.insert(name.clone(), Packer { level: *level, min_bytes: *min_bytes, dictionary, contexts });
        }
        let mut by_dictionary = HashMap::from([(0, Unpacker { dictionary: None, contexts: Contexts::default() })]);
        for dictionary in known {
            let unpacker = Unpacker { dictionary: Some(dictionary.clone()), contexts: Contexts::default() };
            by_dictionary.insert(dictionary.id, unpacker);
        }
        Ok(Self { by_type, by_dictionary, max_bytes: config.max_decompressed_bytes })
    }

    /// The value, compressed; none where its type says not to, or where it would not become smaller.
    pub(crate) fn pack(&self, cache_type: &str, value: &[u8]) -> Option<Packed> {
        let packer = self.by_type.get(cache_type)?;
        if value.len() < packer.min_bytes || value.len() > self.max_bytes {
            return None;
        }
        let mut context = packer.contexts.take(|| packer.context()).ok()?;
        // A buffer that is smaller than the value: what does not fit is not worth it.
        let mut bytes = Vec::with_capacity(value.len().saturating_sub(1));
        let packed = context.compress_to_buffer(value, &mut bytes);
        packer.contexts.give_back(context);
        packed.ok()?;
        Some(Packed { dictionary: packer.dictionary.as_ref().map_or(0, Dictionary::id), bytes })
    }

    /// The value of some compressed bytes, which says that it has `length` bytes.
    pub(crate) fn unpack(&self, dictionary: u32, length: usize, packed: &[u8]) -> Result<Vec<u8>, Unpackable> {
        let unpacker = self.by_dictionary.get(&dictionary).ok_or(Unpackable::UnknownDictionary)?;
        if length > self.max_bytes {
            return Err(Unpackable::TooLarge);
        }
        let mut context = unpacker.contexts.take(|| unpacker.context()).map_err(|_| Unpackable::Broken)?;
        let mut value = Vec::with_capacity(length);
        let unpacked = context.decompress_to_buffer(packed, &mut value);
        unpacker.contexts.give_back(context);
        match unpacked {
            Ok(written) if written == length => Ok(value),
            Ok(_) => Err(Unpackable::Broken),
            // zstd tells a buffer that is too small from bytes that it can't read by its text alone.
            Err(error) if error.to_string().contains("too small") => Err(Unpackable::TooLarge),
            Err(_) => Err(Unpackable::Broken),
        }
    }
}

impl Packer {
    fn context(&self) -> std::io::Result<Compressor<'static>> {
        let mut context = match &self.dictionary {
            Some(dictionary) => Compressor::with_dictionary(self.level, &dictionary.bytes)?,
            None => Compressor::new(self.level)?,
        };
        // The envelope says both already.
        context.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false))?;
        context.set_parameter(zstd::zstd_safe::CParameter::DictIdFlag(false))?;
        Ok(context)
    }
}

impl Unpacker {
    fn context(&self) -> std::io::Result<Decompressor<'static>> {
        match &self.dictionary {
            Some(dictionary) => Decompressor::with_dictionary(&dictionary.bytes),
            None => Decompressor::new(),
        }
    }
}

/// Contexts that are not in use.
struct Contexts<C>(Mutex<Vec<C>>);

impl<C> Default for Contexts<C> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<C> Contexts<C> {
    fn take(&self, make: impl FnOnce() -> std::io::Result<C>) -> std::io::Result<C> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(make, Ok)
    }

    fn give_back(&self, context: C) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_CONTEXTS {
            idle.push(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(dictionary: Option<&Dictionary>, folder: &Path) -> Compressors {
        let path = dictionary.map(|dictionary| {
            let path = folder.join(format!("{}.dict", dictionary.id()));
            std::fs::write(&path, dictionary.as_bytes()).expect("written");
            path
        });
        let zstd = Compression::Zstd { level: 3, min_bytes: 64, dictionary: path };
        let config = RedisConfig { compression: [("list".to_owned(), zstd)].into(), ..RedisConfig::default() };
        Compressors::new(&config).expect("the settings are right")
    }

    fn sample(number: u32) -> Vec<u8> {
        (0..20)
            .flat_map(|row| format!("{{\"team\":\"team-{}\",\"role\":\"viewer\"}},", number * 31 + row).into_bytes())
            .collect()
    }

    fn trained() -> Dictionary {
        let samples: Vec<_> = (0..500).map(sample).collect();
        Dictionary::train(&samples, DEFAULT_DICTIONARY_BYTES).expect("the samples are alike")
    }

    #[test]
    fn a_value_comes_back_and_is_smaller_with_a_dictionary() {
        let folder = tempfile::tempdir().expect("a folder");
        let (plain, dictionary) = (with(None, folder.path()), trained());
        let trained = with(Some(&dictionary), folder.path());
        let value = sample(9_999);
        let without = plain.pack("list", &value).expect("smaller");
        let packed = trained.pack("list", &value).expect("smaller");
        assert_eq!((without.dictionary, packed.dictionary), (0, dictionary.id()));
        assert!(packed.bytes.len() < without.bytes.len() && without.bytes.len() < value.len());
        assert_eq!(trained.unpack(packed.dictionary, value.len(), &packed.bytes), Ok(value.clone()));
        assert_eq!(trained.unpack(0, value.len(), &without.bytes), Ok(value.clone()), "without one as before");
        assert_eq!(
            plain.unpack(packed.dictionary, value.len(), &packed.bytes),
            Err(Unpackable::UnknownDictionary),
            "who does not know the dictionary does not guess"
        );
    }

    #[test]
    fn what_would_not_become_smaller_stays_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let compressors = with(None, folder.path());
        let noise: Vec<u8> = (0..1_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        assert_eq!(compressors.pack("list", &noise[..512]), None);
        assert_eq!(compressors.pack("list", b"short"), None);
        assert_eq!(compressors.pack("other", &sample(1)), None, "a type that is not named");
    }

    #[test]
    fn nothing_is_decompressed_past_what_was_declared_or_allowed() {
        let folder = tempfile::tempdir().expect("a folder");
        let compressors = with(None, folder.path());
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).expect("compressed");
        assert!(bomb.len() < 16 << 10);
        assert_eq!(compressors.unpack(0, 64 << 20, &bomb), Err(Unpackable::TooLarge), "it says what it is");
        assert_eq!(compressors.unpack(0, 1_000, &bomb), Err(Unpackable::TooLarge), "it says less than it is");
        let value = sample(1);
        let packed = compressors.pack("list", &value).expect("smaller");
        assert_eq!(compressors.unpack(0, value.len() + 1, &packed.bytes), Err(Unpackable::Broken));
        assert_eq!(compressors.unpack(0, value.len(), b"not zstd"), Err(Unpackable::Broken));
    }

    #[test]
    fn samples_that_make_no_dictionary_are_an_error_that_says_so() {
        let error = Dictionary::train(&[b"a"], 1_024).expect_err("too few").to_string();
        assert!(error.contains("1 samples"), "{error}");
        assert!(Dictionary::from_bytes(b"words".to_vec()).is_err());
    }
}
