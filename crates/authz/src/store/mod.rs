//! The origin: where stores, models and relationships live, and the log of their changes.
//!
//! Invariants, for every implementation:
//! - A write and its log rows are one transaction. What was acknowledged survives the death of the process.
//! - A [`Snapshot`] is one state of the origin, and its stamp is at most as new as that state.
//! - The sink of an origin ([`ChangeSink`]) has applied a change *before* its writer gets its answer, and before a snapshot that
//!   contains the change is handed out; also where the writer's future was dropped in between.

mod batch;
mod clock;
mod columns;
mod dense;
mod error;
pub mod memory;
mod page;
pub mod postgres;
mod range;
pub mod sqlite;
mod text;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Identity, Lease, Position, Revision, Stamp, Standing};
use ulid::Ulid;

pub use clock::{SystemWallClock, WallClock};
pub use error::{StoreError, WriteConflict};
pub use page::ChangePlace;
pub(crate) use text::parse as parse_context;

use crate::condition::Context;
use crate::relation::{
    Member, Object, Presence, Relationship, RelationshipCondition, Subject, SubjectKind, Text, Tuple,
};

/// Milliseconds since the Unix epoch, UTC.
pub type UnixMillis = u64;

/// The identity of a store: one isolated world of a model and its relationships.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StoreId(pub Ulid);

/// The identity of one version of a model. Models are immutable, so that an id stands for the same model forever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModelId(pub Ulid);

/// The most tuples in one read of an evaluation's level that an origin must accept.
pub const MAX_READS_PER_LEVEL: usize = 10_000;
/// The most tuples (writes and deletes together) of one [`WriteBatch`].
pub const MAX_WRITE_BATCH: usize = 100;
/// The largest page of a list.
pub const MAX_PAGE: usize = 100;
/// The most values that a relationship brings to its condition, in bytes of their JSON.
pub const MAX_CONTEXT_BYTES: usize = 32 * 1024;
/// The most stored properties of one object, in bytes of their JSON.
pub const MAX_PROPERTIES_BYTES: usize = 16 * 1024;
/// How many arrays and objects of values may lie in one another, the outermost included. Less than readers of JSON refuse.
pub const MAX_CONTEXT_DEPTH: usize = 64;
/// The most assertions of one model, in bytes of their JSON.
pub const MAX_ASSERTIONS_BYTES: usize = 256 * 1024;
/// The most rows of a store's log that one page of changes looks at.
pub const MAX_CHANGES_LOOKED_AT: usize = 10_000;
/// How far the clocks of writers may disagree, or be set back, without a change being missed by [`ChangeFilter::since`]: ten minutes.
pub const CLOCK_SLACK: UnixMillis = 10 * 60 * 1_000;

/// An origin.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Says who applies changes from now on, and tells it all that it must know of the past: see [`ChangeSink::joined`].
    /// Called once, before the first snapshot or write; a second sink is refused. An origin elsewhere that can't be reached is no error
    /// here: until it has joined its log, whatever is asked of it is [`StoreError::Unavailable`].
    async fn attach(&self, sink: Arc<dyn ChangeSink>) -> Result<(), StoreError>;

    /// How long what this origin told its sink may be trusted without hearing from it; unlimited where this process alone hears of every change as it
    /// happens.
    fn lease(&self) -> Arc<Lease>;

    /// One state of the origin, for all reads of one evaluation.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Applies here whatever other processes over this origin may have read by now, and have left in tiers that are shared. Waits for nothing that the
    /// caller's own snapshot may hold. Where one process alone has the origin, it has read nothing before it was applied.
    async fn catch_up(&self) -> Result<(), StoreError>;

    /// Writes and deletes relationships, all or none. The caller has checked them against the model.
    async fn write(&self, store: StoreId, batch: WriteBatch) -> Result<Committed, StoreError>;

    /// Creates a store. Ids are chosen by the caller; one that is taken is refused.
    async fn create_store(&self, id: StoreId, name: &str) -> Result<(StoreRecord, Committed), StoreError>;
    /// One store.
    async fn store(&self, id: StoreId) -> Result<Option<StoreRecord>, StoreError>;
    /// Stores in the order of their ids.
    async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, StoreError>;
    /// Deletes a store with all that it holds, its changes included. `None` where there is none.
    async fn delete_store(&self, id: StoreId) -> Result<Option<Committed>, StoreError>;

    /// Adds a version of a model, which becomes the store's latest one. `body` is the model's JSON form.
    async fn write_model(&self, store: StoreId, id: ModelId, body: &str) -> Result<Committed, StoreError>;
    /// The JSON form of a version.
    async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError>;
    /// Versions with their JSON forms, the one that was written last first, whatever the times in their ids say.
    async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, StoreError>;

    /// Relationships that match a filter, in a stable order.
    async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, StoreError>;

    /// Changes of relationships, from after `page.after` on: each once for whoever goes on from page to page, and those of one relationship
    /// as they happened. The end is a place to wait at: there `next` is the last item's place, or `page.after` again.
    ///
    /// A page looks at [`MAX_CHANGES_LOOKED_AT`] rows of the store's log at most, which may be changes of something else or not match.
    /// Where these did not fill it, `next` is the place of the last of them: such a page may be empty, and is not the end.
    ///
    /// A place that this origin did not give is refused as [`StoreError::UnknownPlace`].
    async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, StoreError>;

    /// Keeps the assertions of a version of a model, in place of those before. `body` is their JSON form, of at most
    /// [`MAX_ASSERTIONS_BYTES`]. They are no input of any decision, and so no change of the log.
    ///
    /// A model that the store does not have is refused as [`StoreError::UnknownModel`].
    async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), StoreError>;
    /// The assertions of a version of a model; none where none were ever written.
    async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, StoreError>;

    /// Replaces the stored properties of objects, all or none; an empty context removes them. At most [`MAX_WRITE_BATCH`] objects, each
    /// once, of at most [`MAX_PROPERTIES_BYTES`] each. Where an object has just these already, nothing is logged.
    async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, StoreError>;
    /// Objects with stored properties, in the order of type and id.
    async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, StoreError>;

    /// Appends an invalidation that no change of data stands behind.
    async fn append(&self, scope: InvalidationScope) -> Result<Committed, StoreError>;

    /// Waits until a committed change is in force wherever anybody answers from what was cached over this origin, or `patience` is over: then the answer
    /// says who lags. Where one process alone does so, it is when it is committed.
    async fn in_force(&self, revision: Revision, patience: Duration) -> Result<Standing, StoreError>;

    /// Waits until a committed change is applied here: whatever is asked for after this rests on a state that contains it.
    ///
    /// A change that is older than the log reaches is refused as [`StoreError::Expired`], where that can be told.
    async fn apply_through(&self, revision: Revision) -> Result<(), StoreError>;

    /// A number for [`Store::applied`], cheap enough for every answer: another one whenever that is another position. None before the log was joined.
    ///
    /// `remote_hits` counts what was taken from tiers that others fill: as long as nothing was applied that is surely newer, that may be ahead of what is
    /// applied here.
    fn applied_number(&self, remote_hits: u64) -> Option<u64>;

    /// The position of a number that was just given, or a later one: whatever an answer that was made before rests on is in it, and maybe more.
    fn applied(&self, number: u64) -> Option<Position>;

    /// Waits until all that was in force at a position is in force here: whatever is asked for after this rests on a state that contains it.
    ///
    /// One that is older than the log reaches is refused as [`StoreError::Expired`], where that can be told, and one that this origin did not give as
    /// [`StoreError::UnknownPosition`].
    async fn apply_position(&self, position: &Position) -> Result<(), StoreError>;

    /// Whether the origin answers; the message is for an operator.
    async fn health(&self) -> Result<(), StoreError>;

    /// Waits until this process can follow the log no more, and one that is started anew could: says why. It never comes where that can't happen, as with an
    /// origin of a single process. Whoever is told should end, and be started again.
    async fn lost(&self) -> StoreError {
        std::future::pending().await
    }

    /// Stops background work and closes files, after what was begun has ended.
    async fn close(&self);
}

/// One state of an origin. Which one is settled by the first read at the latest: so an origin may send the beginning of its transaction
/// and the first read together.
#[async_trait]
pub trait Snapshot: Send {
    /// Every change with a lower revision is in this state. Ask after a read: until then it may be [`Stamp::OLDEST`].
    fn stamp(&self) -> Stamp;

    /// Answers one level of an evaluation, in the order of the questions.
    async fn read(&mut self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError>;

    /// The id of the newest model: the outer `None` where the store is unknown, the inner one where it has no model yet.
    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError>;

    /// The JSON form of a version of a model; none where the store does not have it, or is unknown.
    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError>;
}

/// One question about relationships.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TupleRead {
    /// Is there exactly this tuple? (A wildcard asks for the wildcard's own tuple.)
    Point(Tuple),
    /// The subjects of one kind in a relation to an object. Wildcards are not among them.
    Enumerate {
        /// The object.
        object: Object,
        /// The relation.
        relation: Text,
        /// The kind of the subjects.
        kind: SubjectKind,
    },
    /// The other way round: the objects of one type that a subject stands in a relation to, as it was written. A wildcard asks for the wildcard's own tuples.
    Reverse {
        /// The subject.
        subject: Subject,
        /// The type of the objects.
        object_type: Text,
        /// The relation.
        relation: Text,
    },
    /// The properties that were stored for an object.
    Properties(Object),
}

/// The answer to one [`TupleRead`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TupleAnswer {
    /// To a point: whether it exists.
    Found(Presence),
    /// To an enumeration, of either direction: who or what was found, sorted by id.
    Members(Vec<Member>),
    /// To an enumeration with more than [`MAX_ENUMERATED`] subjects, or [`MAX_REVERSE`] objects: refused, not cut.
    TooMany,
    /// The stored properties; empty where there are none.
    Properties(Context),
}

/// The most subjects that one enumeration answers.
pub const MAX_ENUMERATED: usize = 10_000;
/// The most objects that one reverse enumeration answers.
pub const MAX_REVERSE: usize = 100_000;

/// Relationships to write and to delete in one transaction.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WriteBatch {
    /// To add.
    pub writes: Vec<Relationship>,
    /// To remove.
    pub deletes: Vec<Tuple>,
    /// What to do where a tuple to add exists already. One that exists under another condition, or with other values, is a conflict in any
    /// case; so is a context of more than [`MAX_CONTEXT_BYTES`].
    pub on_duplicate: OnConflict,
    /// What to do where a tuple to remove does not exist.
    pub on_missing: OnConflict,
}

impl WriteBatch {
    /// A batch that writes.
    #[must_use]
    pub fn of(writes: impl IntoIterator<Item = impl Into<Relationship>>) -> Self {
        Self { writes: writes.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// What a write does where there is nothing to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnConflict {
    /// Refuse the whole batch.
    #[default]
    Error,
    /// Go on.
    Ignore,
}

/// A change that is durable and applied here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The highest revision of the change; the newest one of the state where there was nothing to change.
    pub revision: Revision,
}

/// What changed, as the log keeps it. The tags that it kills are derived by whoever applies it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A relationship was added.
    Inserted(StoreId, Tuple),
    /// A relationship was removed.
    Deleted(StoreId, Tuple),
    /// The stored properties of an object are others, or none any more.
    PropertiesChanged(StoreId, Object),
    /// A store has a new latest model.
    ModelWritten(StoreId),
    /// Everything about a store may have changed: it was created, deleted, or loaded in bulk.
    StoreReplaced(StoreId),
    /// An administrator's invalidation.
    Invalidated(InvalidationScope),
}

/// One row of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedChange {
    /// Its revision.
    pub revision: Revision,
    /// What changed.
    pub change: Change,
}

/// What an administrator invalidates.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(tag = "scope", rename_all = "snake_case")]
pub enum InvalidationScope {
    /// Whatever was decided for a subject, or from its relationships: `user:ann`, in every store.
    Subject {
        /// `type:id`
        id: String,
    },
    /// Whatever was decided about an object or through it: `project:5`, `team:9`, in every store.
    Resource {
        /// `type:id`
        id: String,
    },
    /// A cache type, by its name.
    Type {
        /// For example `generation_rights`.
        name: String,
    },
    /// A pattern over cache type, subject and resource.
    Pattern {
        /// For example `generation_rights:*`.
        pattern: String,
    },
    /// Everything.
    All,
}

/// What a process that joins a log must know of the past.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Past<'a> {
    /// Whose history it is: what was cached under another one says nothing here.
    pub identity: Identity,
    /// What changed up to this revision is unknown here.
    pub floor: Revision,
    /// All changes above the floor.
    pub changes: &'a [LoggedChange],
    /// Every read that begins from now on has at least this stamp.
    pub stamp: Stamp,
}

/// Who applies changes to the horizon of this process.
pub trait ChangeSink: Send + Sync + 'static {
    /// Called once, before a snapshot is handed out: in [`Store::attach`], or later where the origin can't be reached at that time. What is applied or
    /// forgotten before it belongs to the past as well.
    fn joined(&self, past: Past<'_>);

    /// Applies changes. Idempotent: a change may come twice, and changes of different calls in any order.
    fn apply(&self, changes: &[LoggedChange]);

    /// Every read that begins from now on has at least this stamp. Called after the changes below it were applied.
    fn advance(&self, stamp: Stamp);

    /// The log can't tell any more what changed up to this revision.
    fn forget(&self, through: Revision);

    /// The log is followed no more: it is of another history now. Everything has been forgotten, and what is cached outside of this process under the
    /// identity of [`ChangeSink::joined`] means nothing either.
    fn lost(&self) {}
}

/// A store's record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreRecord {
    /// Its id.
    pub id: StoreId,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: UnixMillis,
}

/// A relationship with the time of its writing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredTuple {
    /// The relationship.
    pub tuple: Tuple,
    /// When it counts; always without.
    pub condition: Option<Arc<RelationshipCondition>>,
    /// When it was written.
    pub written_at: UnixMillis,
}

/// One change of a relationship, for readers of the changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TupleChange {
    /// Added, or removed.
    pub inserted: bool,
    /// The relationship.
    pub tuple: Tuple,
    /// The condition that it was written under; none for one that was removed.
    pub condition: Option<Arc<RelationshipCondition>>,
    /// When.
    pub at: UnixMillis,
    /// Where it stands.
    pub place: ChangePlace,
}

/// Which relationships to read. Every field that is given must match.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TupleFilter {
    /// The object's type.
    pub object_type: Option<Text>,
    /// The object's id; only together with its type.
    pub object_id: Option<Text>,
    /// The relation.
    pub relation: Option<Text>,
    /// The subject.
    pub subject: Option<Subject>,
}

/// Which changes to read. Every field that is given must match.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChangeFilter {
    /// The type of the object.
    pub object_type: Option<Text>,
    /// Changes that were made before this are left out, by the time in their rows. The log has the order of commits and not of times,
    /// so where reading begins is searched for by time, less [`CLOCK_SLACK`]: a change is missed only where, after it, a writer's clock
    /// went back by more than that to before this.
    pub since: Option<UnixMillis>,
}

/// Which part of a list is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageRequest<C> {
    /// Where the page before ended; from the beginning without.
    pub after: Option<C>,
    /// How many items at most: 1 to [`MAX_PAGE`].
    pub limit: usize,
}

/// One part of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T, C> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; none at the end.
    pub next: Option<C>,
}
