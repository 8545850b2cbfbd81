//! A direct import: relationships go into PostgreSQL by COPY, past the server, in large transactions.
//!
//! Every relationship is checked against the model before the first one is written. Running servers learn of each transaction from the log, as one change of
//! the whole store. Repeated, it adds what is missing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use authz::decide::{CheckError, DecisionPoint};
use authz::model::Model;
use authz::store::{StoreError, StoreId};

use super::Imported;
use super::import::{DEFAULT_NAME, MAX_NAMED};
use super::input::{Input, InputError};
use crate::config::Settings;
use crate::open::{OpenError, Origin};
use crate::progress::Progress;

/// What to import, and how.
#[derive(Clone, Debug)]
pub struct DirectImport {
    /// The files.
    pub files: Vec<PathBuf>,
    /// The store; a new one is created without.
    pub store: Option<String>,
    /// The name of a new store.
    pub name: Option<String>,
    /// Let another model become the store's latest one.
    pub replace_model: bool,
    /// Leave out relationships that the model refuses.
    pub skip_refused: bool,
}

/// Why a direct import ended early.
#[derive(Debug, thiserror::Error)]
pub enum DirectImportError {
    /// The files can't be used.
    #[error(transparent)]
    Input(#[from] InputError),
    /// There is no PostgreSQL.
    #[error(
        "a direct import writes to PostgreSQL, and postgres.url is not set; set TIERGATE_POSTGRES__URL as the server has it, or leave out --direct"
    )]
    NoPostgres,
    /// Relationships alone, and no store to put them into.
    #[error(
        "these files bring no model; name the store that they belong to with --store, or import a store file (.fga.yaml) with its model"
    )]
    NoStore,
    /// The store's id is none.
    #[error("{0:?} is no id of a store; one has 26 characters, as 01ARZ3NDEKTSV4RRFFQ69G5FAV")]
    StoreId(String),
    /// The store has another model.
    #[error(
        "store {} has another model than the store file; nothing was imported; pass --replace-model to make the file's model its latest one, or import the relationships alone",
        .0.0
    )]
    OtherModel(StoreId),
    /// The model refuses relationships.
    #[error(
        "the model refuses {count} of the relationships, the first of them {first}; nothing was imported; mend them, or pass --skip-refused"
    )]
    Refused {
        /// How many.
        count: usize,
        /// The first one, and why.
        first: String,
    },
    /// The settings name parts that don't fit.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// PostgreSQL refused.
    #[error("{0}; run the same command again, and it adds what is missing")]
    Decide(#[from] CheckError),
}

impl From<StoreError> for DirectImportError {
    fn from(error: StoreError) -> Self {
        Self::Decide(error.into())
    }
}

impl DirectImport {
    /// Imports.
    ///
    /// # Errors
    /// See [`DirectImportError`].
    #[expect(clippy::disallowed_methods, reason = "a person is told how long it took")]
    pub async fn run(&self, settings: &Settings) -> Result<Imported, DirectImportError> {
        let begin = Instant::now();
        let input = Input::read(&self.files)?;
        if input.model.is_none() && self.store.is_none() {
            return Err(DirectImportError::NoStore);
        }
        let store = match &self.store {
            Some(text) => Some(StoreId(text.parse().map_err(|_| DirectImportError::StoreId(text.clone()))?)),
            None => None,
        };
        if settings.postgres.url.is_none() {
            return Err(DirectImportError::NoPostgres);
        }
        let origin = Origin::open(settings)?;
        let decisions = DecisionPoint::builder(origin.store()).build().await.map_err(OpenError::from)?;
        let imported = self.import(&decisions, &origin, store, input).await;
        decisions.close().await;
        let (store, refused, taken) = imported?;
        let refused_count = refused.len();
        let refused = refused.into_iter().take(MAX_NAMED).collect();
        Ok(Imported {
            store: store.0.to_string(),
            taken,
            resumed_at: 0,
            refused,
            refused_count,
            elapsed: begin.elapsed(),
        })
    }

    async fn import(
        &self,
        decisions: &DecisionPoint,
        origin: &Origin,
        store: Option<StoreId>,
        input: Input,
    ) -> Result<(StoreId, Vec<String>, usize), DirectImportError> {
        let Input { name, model, mut relationships } = input;
        let store = match store {
            Some(store) => decisions.store(store).await?.id,
            None => {
                let name = self.name.as_ref().or(name.as_ref()).map_or(DEFAULT_NAME, String::as_str);
                decisions.create_store(name).await?.id
            }
        };
        if let Some(model) = &model {
            self.write_model(decisions, store, model).await?;
        }
        let refused = decisions.refused_by_model(store, &relationships).await?;
        let named: Vec<String> = refused.iter().map(|(at, error)| format!("{}: {error}", relationships[*at])).collect();
        if let Some(first) = named.first()
            && !self.skip_refused
        {
            return Err(DirectImportError::Refused { count: named.len(), first: first.clone() });
        }
        for (at, _) in refused.iter().rev() {
            relationships.swap_remove(*at);
        }
        let total = relationships.len();
        let line = format!("importing {total} relationships into store {}", store.0);
        let mut progress = Progress::new("importing", total, &line);
        let loaded = origin.load(store, relationships.into_iter(), |read| progress.show(read)).await;
        progress.end();
        loaded?;
        Ok((store, named, total))
    }

    /// Writes the model, unless the store's latest one is the same.
    async fn write_model(
        &self,
        decisions: &DecisionPoint,
        store: StoreId,
        model: &Model,
    ) -> Result<(), DirectImportError> {
        let known: Option<Arc<Model>> = match decisions.latest_model(store).await {
            Ok((_, known)) => Some(known),
            Err(CheckError::NoModel(_)) => None,
            Err(error) => return Err(error.into()),
        };
        match known {
            Some(known) if known.to_json() == model.to_json() => Ok(()),
            Some(_) if !self.replace_model => Err(DirectImportError::OtherModel(store)),
            _ => decisions.write_model(store, model).await.map(drop).map_err(Into::into),
        }
    }
}
