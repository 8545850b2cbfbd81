//! Which values are allowed. Every fault names the key, its value, where it came from, and what is allowed.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

use tracing_subscriber::filter::{LevelFilter, Targets};
use ulid::Ulid;

use super::{ActionClass, CACHE_TYPES, Loaded, Quota, Rate};
use crate::gateway::{Gateway, GatewayFault};
use authz::relation::check_relation;
use cache_redis::limit::{MAX_BURST, MAX_INSTANCES, MAX_PER_SECOND};

const DAY_MS: u64 = 86_400_000;

pub(super) fn faults(loaded: &Loaded) -> Vec<String> {
    let mut checks = Checks { loaded, faults: Vec::new() };
    http(&mut checks);
    cache(&mut checks);
    postgres(&mut checks);
    access_log(&mut checks);
    redis(&mut checks);
    rate(&mut checks);
    let settings = &loaded.settings;
    checks.range("limits.depth", settings.limits.depth, 1..=200);
    checks.range("limits.breadth", settings.limits.breadth, 1..=1_000_000);
    checks.range("limits.reads", settings.limits.reads, 1..=1_000_000);
    checks.range("limits.condition_steps", settings.limits.condition_steps, 1..=1_000_000_000);
    let clock = &settings.conditions.clock;
    checks.holds("conditions.clock", clock, "the name of a parameter of conditions, or nothing", {
        clock.is_empty() || check_relation(clock).is_ok()
    });
    checks.range("limits.list_results", settings.limits.list_results, 1..=100_000);
    checks.range("sqlite.readers", settings.sqlite.readers, 1..=256);
    checks.range("sqlite.max_queued_writes", settings.sqlite.max_queued_writes, 1..=1_000_000);
    checks.range("shutdown.grace_ms", settings.shutdown.grace_ms, 0..=DAY_MS);
    let tls = &settings.tls;
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        checks.faults.push("tls.cert_file and tls.key_file belong together; set both, or neither".to_owned());
    }
    if let Err(faults) = Gateway::new(&settings.gateway) {
        let placed = |fault: GatewayFault| format!("{} ({}): {}", fault.key, loaded.origin(fault.key), fault.text);
        checks.faults.extend(faults.into_iter().map(placed));
    }
    let level = &settings.log.level;
    checks.holds("log.level", level, "error, warn, info, debug, trace, or a list by module as in info,server=debug", {
        is_filter(level)
    });
    if let Some(store) = &settings.server.default_store {
        checks.holds(
            "server.default_store",
            store,
            "the id of a store, 26 characters",
            Ulid::from_string(store).is_ok(),
        );
    }
    checks.faults
}

fn http(checks: &mut Checks<'_>) {
    let http = &checks.loaded.settings.http;
    let admin = &checks.loaded.settings.admin;
    let apart = http.port == 0 || (http.address, http.port) != (admin.address, admin.port);
    checks.holds("admin.port", admin.port, "a port of its own, other than http.port", apart);
    checks.range("http.request_timeout_ms", http.request_timeout_ms, 1..=DAY_MS);
    checks.range("http.header_timeout_ms", http.header_timeout_ms, 10..=DAY_MS);
    checks.range("http.max_body_bytes", http.max_body_bytes, 1_024..=(64 << 20));
    checks.range("http.max_batch", http.max_batch, 1..=10_000);
    checks.range("http.max_connections", http.max_connections, 1..=1_000_000);
    checks.range("http.max_requests", http.max_requests, 1..=1_000_000);
    if let Some(url) = &http.public_url {
        let allowed = "an http or https URL without query, fragment and slash at its end, as https://pdp.example.com";
        checks.holds("http.public_url", url, allowed, is_base_url(url));
    }
}

fn cache(checks: &mut Checks<'_>) {
    let cache = &checks.loaded.settings.cache;
    checks.range("cache.l1.budget_bytes", cache.l1.budget_bytes, cache_l1::MIN_BUDGET_BYTES..=(1 << 40));
    checks.range("cache.horizon_bytes", cache.horizon_bytes, cache_core::MIN_HORIZON_BYTES..=(1 << 32));
    for (name, cache_type) in &cache.types {
        checks.range(&format!("cache.types.{name}.l1_ttl_seconds"), cache_type.l1_ttl_seconds, 1..=86_400);
        checks.range(&format!("cache.types.{name}.l2_ttl_seconds"), cache_type.l2_ttl_seconds, 1..=86_400);
    }
    checks.range("cache.l3.refresh_seconds", cache.l3.refresh_seconds, 1..=28_800);
    checks.range("cache.l3.refresh_limit_seconds", cache.l3.refresh_limit_seconds, 1..=86_400);
    let names = CACHE_TYPES.map(|(name, _, _)| name);
    for (resource_type, cache_type) in &cache.assign {
        let allowed = format!("one of {}", names.join(", "));
        checks.holds(
            &format!("cache.assign.{resource_type}"),
            cache_type,
            &allowed,
            names.contains(&cache_type.as_str()),
        );
    }
}

fn postgres(checks: &mut Checks<'_>) {
    let postgres = &checks.loaded.settings.postgres;
    if let Some(url) = &postgres.url {
        let allowed = "a URL as postgres://user:password@host/database";
        let scheme = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        checks.holds("postgres.url", url.masked(), allowed, scheme);
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = (1..=48).contains(&postgres.schema.len())
        && postgres.schema.chars().all(plain)
        && !postgres.schema.starts_with(|c: char| c.is_ascii_digit())
        && !postgres.schema.starts_with("pg_");
    checks.holds("postgres.schema", &postgres.schema, "a name of lower-case letters, digits and _, up to 48", is_name);
    checks.range("postgres.connections", postgres.connections, 1..=1_000);
    checks.range("postgres.shared_connections", postgres.shared_connections, 1..=64);
    checks.range("postgres.wait_ms", postgres.wait_ms, 1..=60_000);
    checks.range("postgres.connect_timeout_ms", postgres.connect_timeout_ms, 10..=60_000);
    checks.range("postgres.statement_timeout_ms", postgres.statement_timeout_ms, 10..=600_000);
    checks.range("postgres.lock_timeout_ms", postgres.lock_timeout_ms, 10..=600_000);
    checks.range("postgres.poll_interval_ms", postgres.poll_interval_ms, 5..=10_000);
    checks.range("postgres.lease_ms", postgres.lease_ms, 100..=60_000);
    checks.range("postgres.max_outage_stale_ms", postgres.max_outage_stale_ms, 0..=DAY_MS);
    checks.range("postgres.acknowledge_timeout_ms", postgres.acknowledge_timeout_ms, 0..=60_000);
    checks.range("postgres.log_retention_seconds", postgres.log_retention_seconds, 60..=31_536_000);
}

fn access_log(checks: &mut Checks<'_>) {
    let access_log = &checks.loaded.settings.access_log;
    checks.range("access_log.one_in", access_log.one_in, 0..=1_000_000_000);
    checks.range("access_log.keep_days", access_log.keep_days, 1..=3_650);
}

fn redis(checks: &mut Checks<'_>) {
    let redis = &checks.loaded.settings.redis;
    checks.range("redis.compress_min_bytes", redis.compress_min_bytes, 0..=(64 << 20));
    let names = CACHE_TYPES.map(|(name, ..)| name);
    for name in redis.dictionaries.keys().filter(|name| !names.contains(&name.as_str())) {
        let fault = format!("redis.dictionaries.{name} is for no cache type; there are {}", names.join(", "));
        checks.faults.push(fault);
    }
    // The bounds are the tier's own, and so are the words for them.
    if let Some(tier) = redis.tier()
        && let Err(error) = tier.validate()
    {
        checks.faults.push(format!("redis.{error} ({})", checks.loaded.origin("redis.url")));
    }
    let keys = &checks.loaded.settings.keys;
    if keys.master.is_some() && keys.master_file.is_some() {
        checks.faults.push("keys.master and keys.master_file are both set; keep the one that holds the key".to_owned());
    }
    let single = [("keys.master", keys.master.is_some()), ("keys.master_file", keys.master_file.is_some())];
    for (key, _) in single.into_iter().filter(|(_, is_set)| *is_set && keys.ring_file.is_some()) {
        checks.faults.push(format!("{key} and keys.ring_file are both set; keep the one that holds the keys"));
    }
}

fn rate(checks: &mut Checks<'_>) {
    let Rate { enabled: _, instances, list_weight, caller, subject, classes } = &checks.loaded.settings.limits.rate;
    checks.range("limits.rate.instances", *instances, 1..=MAX_INSTANCES);
    checks.range("limits.rate.list_weight", *list_weight, 1..=MAX_BURST);
    for (name, Quota { burst, per_second }) in [("caller", caller), ("subject", subject)] {
        checks.range(&format!("limits.rate.{name}.per_second"), *per_second, 0..=MAX_PER_SECOND);
        burst_of(checks, &format!("limits.rate.{name}"), *burst, *list_weight);
    }
    let mut assigned: HashMap<&str, &str> = HashMap::new();
    for (name, ActionClass { actions, burst, per_second }) in classes {
        let key = format!("limits.rate.classes.{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        checks.holds(
            "limits.rate.classes",
            name,
            "a name of lower-case letters, digits, _ and -, up to 32",
            (1..=32).contains(&name.len()) && name.chars().all(plain),
        );
        checks.range(&format!("{key}.per_second"), *per_second, 1..=MAX_PER_SECOND);
        burst_of(checks, &key, *burst, *list_weight);
        let actions_key = format!("{key}.actions");
        checks.holds(&actions_key, "empty", "a list of actions, or [\"*\"] for all others", !actions.is_empty());
        for action in actions {
            let is_action = action == "*" || check_relation(action).is_ok();
            checks.holds(&actions_key, format!("{action:?}"), "the name of an action, or * for all others", is_action);
            if let Some(other) = assigned.insert(action, name).filter(|other| other != name) {
                let allowed = format!("each action in one class; this one is in {other} as well");
                checks.holds(&actions_key, format!("{action:?}"), &allowed, false);
            }
        }
    }
}

/// What costs more than a burst would be let through for a burst.
fn burst_of(checks: &mut Checks<'_>, key: &str, burst: u32, list_weight: u32) {
    let allowed = format!("limits.rate.list_weight ({list_weight}) to {MAX_BURST}");
    checks.holds(&format!("{key}.burst"), burst, &allowed, (list_weight..=MAX_BURST).contains(&burst));
}

/// A word without `=` would be taken for a module of which everything is logged; here it must be a level.
fn is_filter(text: &str) -> bool {
    let is_level = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    text.split(',').all(is_level) && text.parse::<Targets>().is_ok()
}

fn is_base_url(text: &str) -> bool {
    let Ok(url) = text.parse::<axum::http::Uri>() else { return false };
    matches!(url.scheme_str(), Some("http" | "https"))
        && url.host().is_some_and(|host| !host.is_empty())
        && !text.contains(['?', '#', '@'])
        && !text.ends_with('/')
}

struct Checks<'a> {
    loaded: &'a Loaded,
    faults: Vec<String>,
}

impl Checks<'_> {
    fn range<T: PartialOrd + Display>(&mut self, key: &str, value: T, allowed: RangeInclusive<T>) {
        let text = format!("{} to {}", allowed.start(), allowed.end());
        let holds = allowed.contains(&value);
        self.holds(key, value, &text, holds);
    }

    fn holds(&mut self, key: &str, value: impl Display, allowed: &str, holds: bool) {
        if !holds {
            let origin = self.loaded.origin(key);
            self.faults.push(format!("{key} is {value} ({origin}); allowed is {allowed}"));
        }
    }
}
