//! The Redis tier: warm values shared by all instances, and an invalidation log on Redis Streams.
