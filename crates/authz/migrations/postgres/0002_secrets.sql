-- Secrets that all instances share and nobody had to bring: each is drawn by whoever needs it first.
CREATE TABLE {schema}.secrets (
    name  text PRIMARY KEY,
    value bytea NOT NULL CHECK (length(value) >= 32)
);
REVOKE ALL ON {schema}.secrets FROM PUBLIC;
