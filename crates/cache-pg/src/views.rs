//! The views that one process uses: their definitions, and which relation of the database each one is.
//!
//! Invariants:
//! - A definition that changed is a new version beside the old one. Nothing that another release may read is altered or dropped by a migration.
//! - A version is looked up by its whole definition, never by its name alone.

use std::sync::{Arc, PoisonError, RwLock};

use cache_core::{Clock, Entropy, RowValue};

use crate::core::{Told, sql};
use crate::{ConfigError, RefreshConfig, Refresher, View, ViewConfig, ViewLayer};
use pg_log::{Exclusive, Migration, Pg, PgContext, PgError, migrate};

const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "views", sql: include_str!("../migrations/0001_views.sql"), needs: 0 }];

/// The views of one process. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Views(Arc<Inner>);

struct Inner {
    pg: Pg,
    known: Vec<Known>,
}

/// A view with what is known of its version.
pub(crate) struct Known {
    pub(crate) view: View,
    pub(crate) definition: String,
    version: RwLock<Option<Arc<Version>>>,
}

/// A version in the database.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) id: i32,
    /// With its schema, quoted.
    pub(crate) relation: String,
    pub(crate) value: String,
    pub(crate) one: String,
    pub(crate) many: String,
    pub(crate) told: Told,
}

impl Views {
    /// Views of one PostgreSQL. Nothing is asked of it yet. A [`Pg`] that nothing else uses keeps what holds up look-ups away from
    /// everything else, and the other way round.
    ///
    /// # Errors
    /// Where a definition can't be right, or two have one name.
    pub fn new(pg: Pg, views: Vec<View>) -> Result<Self, ConfigError> {
        for (at, view) in views.iter().enumerate() {
            view.validate()?;
            let new = views[..at].iter().all(|other| other.name != view.name);
            ConfigError::check(new, "the name of a view", format!("{:?}", view.name), "given to one view only")?;
        }
        let known = views
            .into_iter()
            .map(|view| Known { definition: sql::definition(&view), view, version: RwLock::default() })
            .collect();
        Ok(Self(Arc::new(Inner { pg, known })))
    }

    /// Brings the tables of this crate up to date, and creates the versions that are not there yet, without content. Many processes may
    /// do so at once; it is cheap where there is nothing to do.
    ///
    /// # Errors
    /// Where PostgreSQL refuses: a definition that it can't work with is told here, and nothing of it stays.
    pub async fn migrate(&self) -> Result<(), PgError> {
        let mut client = self.0.pg.exclusive().await?;
        migrate(&mut client, &self.0.pg.config().schema, "cache-pg", MIGRATIONS).await?;
        for known in &self.0.known {
            self.ensure(known, &mut client).await?;
        }
        Ok(())
    }

    /// Creates a version where it is not there, and says that it is used.
    pub(crate) async fn ensure(&self, known: &Known, client: &mut Exclusive) -> Result<(), PgError> {
        const DOING: &str = "create a view";
        let schema = self.0.pg.schema();
        let transaction = client.transaction().await.during(DOING)?;
        // One at a time, and never while somebody drops versions: what is found here stays.
        transaction.execute(sql::LOCK_VERSIONS, &[&self.lock_name("versions")]).await.during(DOING)?;
        let id = match self.find(known, transaction.client()).await? {
            Some(found) => found.version.id,
            None => {
                let next = format!("SELECT coalesce(max(version), 0) + 1 FROM {schema}.views WHERE name = $1");
                let row = transaction.query_one(&next, &[&known.view.name]).await.during(DOING)?;
                let version: i32 = row.try_get(0).during(DOING)?;
                let relation = sql::relation(&known.view, version);
                transaction.batch_execute(&sql::create(&known.view, schema, &relation)).await.during(DOING)?;
                let insert = format!(
                    "INSERT INTO {schema}.views (name, version, definition, relation) VALUES ($1, $2, $3, $4) RETURNING id"
                );
                let row = transaction
                    .query_one(&insert, &[&known.view.name, &version, &known.definition, &relation])
                    .await
                    .during(DOING)?;
                tracing::info!(view = known.view.name, version, "a version of a view was created");
                row.try_get(0).during(DOING)?
            }
        };
        self.note_use(transaction.client(), id).await.during(DOING)?;
        transaction.commit().await.during(DOING)
    }

    /// Says that a version is used. Rarely more than once an interval, so that its row does not grow old versions.
    pub(crate) async fn note_use(
        &self,
        client: &pg_log::tokio_postgres::Client,
        id: i32,
    ) -> Result<(), pg_log::tokio_postgres::Error> {
        let sql = format!(
            "INSERT INTO {}.view_uses AS u (view) VALUES ($1) ON CONFLICT (view) DO UPDATE SET at = clock_timestamp()",
            self.0.pg.schema()
        );
        client.execute(&sql, &[&id]).await.map(|_| ())
    }

    /// The name of an advisory lock. Locks belong to a database, and a database may have several of our schemas.
    pub(crate) fn lock_name(&self, what: &str) -> String {
        format!("tiergate cache-pg {} {what}", self.0.pg.schema())
    }

    /// A tier that answers from these views.
    ///
    /// # Errors
    /// Where a setting is out of its bounds.
    pub fn layer<V: RowValue>(&self, config: ViewConfig, clock: Arc<dyn Clock>) -> Result<ViewLayer<V>, ConfigError> {
        ViewLayer::new(self.clone(), config, clock)
    }

    /// Who refreshes these views.
    ///
    /// # Errors
    /// Where a setting is out of its bounds.
    pub fn refresher(
        &self,
        config: RefreshConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Refresher, ConfigError> {
        Refresher::new(self.clone(), config, clock, entropy)
    }

    /// The relation in which a view's content is, with its schema, as it stands in statements: for queries of one's own. None where there is no
    /// such view, or it was never refreshed. Another release may use another one.
    ///
    /// # Errors
    /// Where PostgreSQL fails.
    pub async fn relation(&self, view: &str) -> Result<Option<String>, PgError> {
        let Some(known) = self.position(view).map(|view| &self.0.known[view]) else { return Ok(None) };
        let client = self.0.pg.shared().await?;
        let found = self.find(known, &client).await?;
        Ok(found.filter(|found| found.is_filled).map(|found| found.version.relation.clone()))
    }

    /// The names of the views.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.known.iter().map(|known| known.view.name())
    }

    /// Its connections.
    #[must_use]
    pub fn pg(&self) -> &Pg {
        &self.0.pg
    }

    /// Quoted.
    pub(crate) fn schema(&self) -> &str {
        self.0.pg.schema()
    }

    pub(crate) fn all(&self) -> &[Known] {
        &self.0.known
    }

    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.0.known.iter().position(|known| known.view.name == name)
    }

    /// Looks a version up in the database. None where it was not created yet.
    pub(crate) async fn find(
        &self,
        known: &Known,
        client: &pg_log::tokio_postgres::Client,
    ) -> Result<Option<Found>, PgError> {
        const DOING: &str = "look for a view";
        let schema = self.0.pg.schema();
        let sql = format!(
            "SELECT id, relation, as_of IS NOT NULL FROM {schema}.views WHERE name = $1 AND definition = $2 \
             ORDER BY version DESC LIMIT 1"
        );
        let row = client.query_opt(&sql, &[&known.view.name, &known.definition]).await.during(DOING)?;
        let Some(row) = row else { return Ok(None) };
        let (id, relation): (i32, String) = (row.try_get(0).during(DOING)?, row.try_get(1).during(DOING)?);
        let version = Arc::new(Version {
            id,
            value: sql::value(&known.view, schema, &relation),
            one: sql::one(&known.view, schema, &relation, id),
            many: sql::many(&known.view, schema, &relation, id),
            relation: format!("{schema}.\"{relation}\""),
            told: Told::default(),
        });
        Ok(Some(Found { version, is_filled: row.try_get(2).during(DOING)? }))
    }
}

/// A version with whether it was refreshed.
pub(crate) struct Found {
    pub(crate) version: Arc<Version>,
    pub(crate) is_filled: bool,
}

impl Known {
    /// The version that readers may ask: one that exists and was refreshed.
    pub(crate) fn version(&self) -> Option<Arc<Version>> {
        self.version.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_version(&self, version: Option<Arc<Version>>) {
        *self.version.write().unwrap_or_else(PoisonError::into_inner) = version;
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Views").field(&self.names().collect::<Vec<_>>()).finish()
    }
}
