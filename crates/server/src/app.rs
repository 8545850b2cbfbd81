//! What every handler shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwapOption;
use authz::decide::{CachedValue, DecisionPoint};
use authz::store::{PageRequest, StoreId};
use cache_l1::MemoryHandle;

use crate::access_log::AccessLog;
use crate::acknowledge::Tokens;
use crate::config::Settings;
use crate::credentials::{Caller, Credentials};
use crate::dependency::Dependencies;
use crate::error::Fault;
use crate::gateway::Gateway;
use crate::limits::Limits;
use crate::open::{Opened, Pools};
use crate::routes::page_token::PageTokens;
use crate::telemetry::Pseudonyms;
use crate::tls::Tls;

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
    /// Who may call.
    pub credentials: Credentials,
    /// The certificate of the listeners, where they speak TLS.
    pub tls: Option<Arc<Tls>>,
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
    /// Held while keys are read anew: whoever read last is in force last.
    pub(crate) reloading: Mutex<()>,
}

/// Which store the plain AuthZEN paths stand for. What was found is remembered until a store comes or goes, by whatever instance, and used only while this
/// one would hear of that. Names of stores don't change.
struct DefaultStore {
    configured: Option<StoreId>,
    /// With the number of [`DecisionPoint::stores_number`] from before it was looked for.
    found: ArcSwapOption<(u64, StoreId)>,
}

impl App {
    /// Puts together what handlers need.
    #[must_use]
    pub fn new(opened: Opened, settings: Settings, public_url: String) -> Self {
        let Opened { decisions, memory, dependencies, limits, access_log, pools, tokens, credentials, tls } = opened;
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
            credentials,
            tls,
            settings,
            pseudonyms: Pseudonyms::default(),
            public_url,
            page_tokens: PageTokens::default(),
            gateway,
            default_store: DefaultStore { configured, found: ArcSwapOption::empty() },
            stopping: AtomicBool::new(false),
            reloading: Mutex::default(),
        }
    }

    /// The store that the paths without one stand for: the only one that the caller's key is for, or else the default one.
    ///
    /// # Errors
    /// Where there is no store, or where it isn't clear which one.
    pub(crate) async fn default_store(&self, caller: &Caller) -> Result<StoreId, Fault> {
        if let Some(id) = caller.own_store().or(self.default_store.configured) {
            return Ok(id);
        }
        // Before it is looked for: what comes or goes meanwhile makes it another number.
        let number = self.decisions.stores_number();
        match &*self.default_store.found.load() {
            Some(found) if number == Some(found.0) => return Ok(found.1),
            _ => {}
        }
        let id = self.find_default_store().await?;
        if let Some(number) = number {
            self.default_store.found.store(Some(Arc::new((number, id))));
        }
        Ok(id)
    }

    async fn find_default_store(&self) -> Result<StoreId, Fault> {
        let page = self.decisions.stores(PageRequest { after: None, limit: LOOKED_THROUGH }).await?;
        match page.items.as_slice() {
            [] => Err(Fault::not_found("there is no store yet; create one with POST /stores")),
            [only] if page.next.is_none() => Ok(only.id),
            several => match several.iter().find(|store| store.name == DEFAULT_STORE_NAME) {
                Some(store) => Ok(store.id),
                None => Err(Fault::not_found(UNCLEAR)),
            },
        }
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
}

const UNCLEAR: &str = "there are several stores and none is the default one; \
                       ask under /stores/{id}/access/v1/, or set server.default_store";
