//! From settings to a decision point: the data directory, the tiers, the lifetimes, the bounds.

mod origin;
mod postgres;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use authz::decide::{Assignment, BuildError, CachedValue, DecisionPoint, cache_type};
use authz::evaluate::Limits;
use authz::store::postgres::PostgresStore;
use authz::store::{Store, StoreError};
use cache_core::{Clock, DEFAULT_FILLS_BEHIND, HorizonConfig, Lifetime, Policy, SystemClock, SystemEntropy};
use cache_l1::{MemoryConfig, MemoryHandle, MemoryLayer};
use cache_pg::ViewHandle;
use cache_pg::pg_log::{Pg, PgError};
use cache_redis::limit::RedisLimiter;
use cache_redis::{Keyring, Machine, RedisConfig, RedisLayer};

use self::postgres::ViewTier;
use self::redis::MasterKey;
pub use self::redis::RedisTier;
pub(crate) use self::redis::existing_keyring;
pub use origin::{Origin, data_file};

use crate::access_log::{AccessLog, PostgresAccesses};
use crate::acknowledge::Tokens;
use crate::config::{Cache, Settings};
use crate::credentials::{Credentials, KeyFileError};
use crate::dependency::{Dependencies, Dependency};
use crate::limits::Limits as RateLimits;
use crate::tls::{Tls, TlsError};

/// Why there is no decision point.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The memory tier can't be built.
    #[error("cache.l1: {0}")]
    Memory(#[from] cache_l1::ConfigError),
    /// The connections of the views can't be made as they are set.
    #[error(transparent)]
    Postgres(#[from] PgError),
    /// The tier over views can't be built.
    #[error("cache.l3: {0}")]
    Views(#[from] cache_pg::ConfigError),
    /// The Redis tier can't be built.
    #[error("redis: {0}")]
    Redis(#[from] cache_redis::ConfigError),
    /// The API keys can't be used.
    #[error("auth.keys_file: {0}")]
    Keys(#[from] KeyFileError),
    /// The certificate, or its key, can't be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The master key that the server makes itself can't be written.
    #[error(
        "the master key can't be written to {path}: {error}; make the data directory writable, or set keys.master_file"
    )]
    KeyFile {
        /// Where it should lie.
        path: String,
        /// What the operating system said.
        error: Arc<std::io::Error>,
    },
    /// There is no master key yet.
    #[error(
        "there is no master key: none of keys.master, keys.master_file and keys.ring_file is set, and {path} does not exist; \
         name the settings that the server has (--config, --data)"
    )]
    NoKey {
        /// Where it would lie.
        path: String,
    },
    /// The master key that lies in PostgreSQL could not be read.
    #[error(
        "the master key lies in PostgreSQL, which did not give it in time; check postgres.url, and that a server has run"
    )]
    KeyUnreachable,
    /// The parts don't fit.
    #[error(transparent)]
    Build(#[from] BuildError),
}

/// A decision point with what belongs to it.
pub struct Opened {
    /// The decision point.
    pub decisions: Arc<DecisionPoint>,
    /// Resizes its memory tier.
    pub memory: MemoryHandle<CachedValue>,
    /// What it can do without.
    pub dependencies: Dependencies,
    /// How often the origin may be asked; none without limits.
    pub limits: Option<Arc<RateLimits>>,
    /// Takes notes of who asks for what.
    pub access_log: AccessLog,
    /// Connections that are counted.
    pub pools: Pools,
    /// Makes the tokens of changes and states, and knows them again.
    pub tokens: Tokens,
    /// Who may call.
    pub credentials: Credentials,
    /// The certificate of the listeners, where they speak TLS.
    pub tls: Option<Arc<Tls>>,
}

/// What counts what is waited for.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    /// Evaluations and writes.
    pub postgres: Option<Pg>,
    /// The tier over views.
    pub views: Option<(Pg, ViewHandle)>,
    /// The Redis tier.
    pub redis: Option<RedisTier>,
}

/// A decision point over the origin that the settings name, with every tier that they name.
///
/// # Errors
/// Where the parts don't fit, or the origin can't tell its log.
pub async fn with_tiers(origin: &Origin, settings: &Settings) -> Result<Opened, OpenError> {
    let postgres = match origin {
        Origin::Postgres(store) => Some(store),
        Origin::Sqlite(_) => None,
    };
    assemble(origin.store(), postgres, settings).await
}

/// A decision point over any origin, with the tiers that need nothing of it.
///
/// # Errors
/// As [`with_tiers`].
pub async fn decision_point(origin: Arc<dyn Store>, settings: &Settings) -> Result<Opened, OpenError> {
    assemble(origin, None, settings).await
}

async fn assemble(
    origin: Arc<dyn Store>,
    postgres: Option<&Arc<PostgresStore>>,
    settings: &Settings,
) -> Result<Opened, OpenError> {
    let credentials = Credentials::open(settings.auth.keys_file.as_deref())?;
    let tls = match (&settings.tls.cert_file, &settings.tls.key_file) {
        (Some(certificate), Some(key)) => Some(Arc::new(Tls::open(certificate, key)?)),
        _ => None,
    };
    let memory = MemoryConfig { budget_bytes: settings.cache.l1.budget_bytes, ..MemoryConfig::default() };
    let horizon = HorizonConfig { budget_bytes: settings.cache.horizon_bytes, ..HorizonConfig::default() };
    let memory = MemoryLayer::new(memory)?;
    let handle = memory.handle();
    let mut dependencies = Dependencies::default();
    let mut builder = DecisionPoint::builder(origin).tier(memory);
    let redis = settings.redis.tier();
    let mut tier = None;
    if let Some(config) = &redis {
        // Nothing is sent yet: a file that can't be read keeps the server from starting, also where the key comes later.
        drop(RedisLayer::<CachedValue>::new(config, &Keyring::random()?, Machine::default())?);
        let (place, there) = RedisTier::place();
        builder = builder.tier(place);
        dependencies.add(Arc::new(there.clone()));
        tier = Some(there);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut pools = Pools { postgres: postgres.map(|store| store.pg().clone()), views: None, redis: tier.clone() };
    let mut views = None;
    if let Some(connections) = postgres.and(settings.postgres.connections()) {
        let tier = Arc::new(ViewTier::new(connections, &settings.cache, Arc::clone(&clock))?);
        let layer = tier.layer(Arc::clone(&clock))?;
        pools.views = Some((tier.pg().clone(), layer.handle()));
        builder = builder.tier(layer);
        dependencies.add(Arc::clone(&tier) as Arc<dyn Dependency>);
        views = Some(tier);
    }
    let point = builder
        .clock(clock)
        .policy(policy(&settings.cache, redis.is_some()))
        .fills_behind(DEFAULT_FILLS_BEHIND)
        .horizon(horizon)
        .assignment(assignment(&settings.cache))
        .limits(limits(settings))
        .clock_parameter(Some(settings.conditions.clock.as_str()).filter(|name| !name.is_empty()))
        .timeout(Duration::from_millis(settings.http.request_timeout_ms))
        .build()
        .await?;
    point.switch_tier(cache_l1::DEFAULT_NAME, settings.cache.uses_l1());
    point.switch_tier(cache_redis::DEFAULT_NAME, settings.cache.uses_l2());
    point.switch_tier(cache_pg::DEFAULT_NAME, settings.cache.uses_l3());
    let decisions = Arc::new(point);
    if let (Some(views), Some(store)) = (views, postgres) {
        tokio::spawn(views.run(Arc::clone(store), Arc::downgrade(&decisions)));
    }
    let limits = RateLimits::new(settings, Arc::clone(&decisions), Arc::clone(decisions.chain().clock()))?;
    if let (Some(config), Some(tier)) = (redis, tier) {
        let shared = Shared { config, tier, limits: limits.clone() };
        match (MasterKey::find(settings)?, postgres) {
            (MasterKey::AtHand(keyring), _) => shared.begin(&keyring)?,
            (MasterKey::AtOrigin, Some(store)) => {
                let store = Arc::clone(store);
                tokio::spawn(async move {
                    let Some(keyring) = postgres::master_key(&store).await else { return };
                    if let Err(error) = shared.begin(&keyring) {
                        tracing::error!(%error, "the redis tier can't be used");
                    }
                });
            }
            // An origin that is none of those that the settings can name: only this process knows its key.
            (MasterKey::AtOrigin, None) => shared.begin(&Keyring::random()?)?,
        }
    }
    let access_log = access_log(postgres, settings)?;
    let tokens = Tokens::new(postgres.map(Arc::clone));
    Ok(Opened { decisions, memory: handle, dependencies, limits, access_log, pools, tokens, credentials, tls })
}

/// The notes of accesses, where PostgreSQL is the origin and they are wanted.
fn access_log(postgres: Option<&Arc<PostgresStore>>, settings: &Settings) -> Result<AccessLog, OpenError> {
    let entropy = Arc::new(SystemEntropy);
    let wanted = &settings.access_log;
    match (postgres, settings.postgres.connections()) {
        (Some(store), Some(connections)) if wanted.one_in > 0 => {
            let writer = PostgresAccesses::new(connections, Arc::clone(store), wanted.keep())?;
            Ok(AccessLog::start(wanted.one_in, entropy, writer))
        }
        _ => Ok(AccessLog::off(entropy)),
    }
}

/// What instances share in Redis, as soon as there is a master key.
struct Shared {
    config: RedisConfig,
    tier: RedisTier,
    limits: Option<Arc<RateLimits>>,
}

impl Shared {
    fn begin(&self, keyring: &Keyring) -> Result<(), OpenError> {
        self.tier.put(&self.config, keyring)?;
        if let Some(limits) = &self.limits {
            limits.share(RedisLimiter::new(&self.config, keyring, Machine::default())?);
        }
        Ok(())
    }
}

/// Lifetimes of the tiers that there are.
fn policy(cache: &Cache, has_redis: bool) -> Policy {
    let mut policy = Policy::default();
    for (name, times) in &cache.types {
        let Some(cache_type) = cache_type(name) else { continue };
        let lifetime = |seconds| Lifetime::of(Duration::from_secs(seconds));
        policy = policy.lifetime(cache_l1::DEFAULT_NAME, cache_type, lifetime(times.l1_ttl_seconds));
        if has_redis {
            policy = policy.lifetime(cache_redis::DEFAULT_NAME, cache_type, lifetime(times.l2_ttl_seconds));
        }
    }
    policy
}

fn assignment(cache: &Cache) -> Assignment {
    let known = cache.assign.iter().filter_map(|(resource, name)| Some((resource, cache_type(name)?)));
    known.fold(Assignment::default(), |assignment, (resource, cache_type)| assignment.assign(resource, cache_type))
}

fn limits(settings: &Settings) -> Limits {
    let limits = &settings.limits;
    Limits {
        max_depth: limits.depth,
        max_nodes: limits.breadth,
        max_reads: limits.reads,
        max_condition_steps: limits.condition_steps,
        ..Limits::default()
    }
}
