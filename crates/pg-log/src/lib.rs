//! PostgreSQL connections and the invalidation log on PostgreSQL: snapshots, polls, triggers, trimming.
