//! The PostgreSQL tier: look-ups in materialized views that are refreshed without anybody waiting.
