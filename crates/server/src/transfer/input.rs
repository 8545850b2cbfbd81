//! What is to be imported: a store file with its model, or files of relationships.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use authz::model::{Model, ModelErrors};
use authz::relation::Relationship;
use authz::storefile::{StoreFile, StoreFileError, relationships};
use siphasher::sip::SipHasher13;

/// The largest file of relationships, in bytes.
pub(super) const MAX_INPUT_BYTES: usize = 1 << 30;

/// Everything that an import brings.
#[derive(Debug, Default)]
pub struct Input {
    /// What a store file calls its store.
    pub name: Option<String>,
    /// The model of a store file.
    pub model: Option<Model>,
    /// The relationships, in the order of the files.
    pub relationships: Vec<Relationship>,
}

/// Why the files can't be imported.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// A file that can't be read.
    #[error(transparent)]
    File(#[from] StoreFileError),
    /// A store file whose model makes no sense.
    #[error("{file}: the model is not valid: {errors}")]
    Model {
        /// The store file.
        file: String,
        /// What is wrong.
        errors: ModelErrors,
    },
    /// Two store files with a model each.
    #[error("{0} brings a second model; import one store file at a time")]
    SecondModel(String),
}

impl Input {
    /// Reads files: store files by their ending `.fga.yaml`, files of relationships by `.yaml`, `.json` and `.csv`.
    ///
    /// # Errors
    /// Where one can't be read. Nothing was imported then.
    pub fn read(files: &[PathBuf]) -> Result<Self, InputError> {
        let mut input = Self::default();
        for file in files {
            if is_store_file(file) {
                input.add_store(file)?;
            } else {
                input.relationships.extend(relationships(file, MAX_INPUT_BYTES)?);
            }
        }
        Ok(input)
    }

    fn add_store(&mut self, file: &Path) -> Result<(), InputError> {
        let StoreFile { name, model, tuples, .. } = StoreFile::load(file)?;
        let file = file.display().to_string();
        if self.model.is_some() {
            return Err(InputError::SecondModel(file));
        }
        self.model = Some(model.map_err(|errors| InputError::Model { file, errors })?);
        self.name = self.name.take().or(name);
        self.relationships.extend(tuples);
        Ok(())
    }

    /// Tells one input from another.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = SipHasher13::new();
        for relationship in &self.relationships {
            hasher.write(super::tuple_key(relationship).to_string().as_bytes());
            hasher.write_u8(b'\n');
        }
        hasher.finish()
    }
}

fn is_store_file(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.ends_with(".fga.yaml") || name.ends_with(".fga.yml")
}
