//! What every handler shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use authz::decide::{CachedValue, CheckError, DecisionPoint};
use authz::store::{PageRequest, StoreId};
use cache_l1::MemoryHandle;

use crate::access_log::AccessLog;
use crate::acknowledge::Tokens;
use crate::config::Settings;
use crate::dependency::Dependencies;
use crate::error::Fault;
use crate::gateway::Gateway;
use crate::limits::Limits;
use crate::open::{Opened, Pools};
use crate::routes::page_token::PageTokens;
use crate::telemetry::Pseudonyms;

/// The name by which a store becomes the default one where there are several.
const DEFAULT_STORE_NAME: &str = "demo";
/// Stores that are looked through for that name.
const LOOKED_THROUGH: usize = 100;

/// What every handler shares.
pub struct App {
    /// Who answers.
    pub decisions: Arc<DecisionPoint>,
    /// Changes the budget of the memory tier.
    pub memory: MemoryHandle<CachedValue>,
    /// What it can do without.
    pub dependencies: Dependencies,
    /// How often the origin may be asked; none without limits.
    pub limits: Option<Arc<Limits>>,
    /// Takes notes of who asks for what.
    pub access_log: AccessLog,
    /// Connections that are counted.
    pub pools: Pools,
    /// Makes the tokens of changes and states, and knows them again.
    pub tokens: Tokens,
    /// The settings that the process was started with.
    pub settings: Settings,
    /// Names for subjects in the log.
    pub pseudonyms: Pseudonyms,
    /// The base URL by which clients know this server.
    pub public_url: String,
    /// Makes the tokens of pages, and knows them again.
    pub(crate) page_tokens: PageTokens,
    /// What requests through a gateway mean.
    pub(crate) gateway: Gateway,
    default_store: DefaultStore,
    stopping: AtomicBool,
}

/// Which store the plain AuthZEN paths stand for. Found once and remembered until it is gone.
struct DefaultStore {
    configured: Option<StoreId>,
    found: RwLock<Option<StoreId>>,
}

impl App {
    /// Puts together what handlers need.
    #[must_use]
    pub fn new(opened: Opened, settings: Settings, public_url: String) -> Self {
        let Opened { decisions, memory, dependencies, limits, access_log, pools, tokens } = opened;
        let configured = settings.server.default_store.as_deref().and_then(|id| id.parse().ok()).map(StoreId);
        let gateway = Gateway::checked(&settings.gateway);
        Self {
            decisions,
            memory,
            dependencies,
            limits,
            access_log,
            pools,
            tokens,
            settings,
            pseudonyms: Pseudonyms::default(),
            public_url,
            page_tokens: PageTokens::default(),
            gateway,
            default_store: DefaultStore { configured, found: RwLock::new(configured) },
            stopping: AtomicBool::new(false),
        }
    }

    /// The store of the plain AuthZEN paths.
    ///
    /// # Errors
    /// Where there is no store, or where it isn't clear which one.
    pub async fn default_store(&self) -> Result<StoreId, Fault> {
        let found = *self.default_store.found.read().unwrap_or_else(PoisonError::into_inner);
        match found {
            Some(id) => Ok(id),
            None => self.find_default_store().await,
        }
    }

    /// Looks for the default store anew when it is asked for next; for when a store came or went.
    pub fn forget_default_store(&self) {
        let configured = self.default_store.configured;
        *self.default_store.found.write().unwrap_or_else(PoisonError::into_inner) = configured;
    }

    async fn find_default_store(&self) -> Result<StoreId, Fault> {
        let page = self.decisions.stores(PageRequest { after: None, limit: LOOKED_THROUGH }).await?;
        let id = match page.items.as_slice() {
            [] => return Err(Fault::not_found("there is no store yet; create one with POST /stores")),
            [only] if page.next.is_none() => only.id,
            several => match several.iter().find(|store| store.name == DEFAULT_STORE_NAME) {
                Some(store) => store.id,
                None => return Err(Fault::not_found(UNCLEAR)),
            },
        };
        *self.default_store.found.write().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(id)
    }

    /// Says from now on that the server is not ready, so that no new traffic is sent here.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the server is about to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The fault that an error of the decision point is, after the consequences that it has here.
    pub(crate) fn fault(&self, error: CheckError) -> Fault {
        if matches!(&error, CheckError::Store(authz::store::StoreError::UnknownStore(_))) {
            self.forget_default_store();
        }
        Fault::from(error)
    }
}

const UNCLEAR: &str = "there are several stores and none is the default one; \
                       ask under /stores/{id}/access/v1/, or set server.default_store";
