-- Who asked for what. Written by sample and in batches, by whoever answers questions; no decision rests on it. Subjects and objects in
-- their notation, because nothing here is looked for by their parts.
CREATE TABLE {schema}.access_log (
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    store    text COLLATE "C" NOT NULL,
    subject  text COLLATE "C" NOT NULL,
    relation text COLLATE "C" NOT NULL,
    object   text COLLATE "C" NOT NULL,
    allowed  boolean NOT NULL,
    -- How many accesses the row stands for.
    weight   integer NOT NULL DEFAULT 1 CHECK (weight > 0)
);

-- Rows lie in the order of time, and leave in it.
CREATE INDEX access_log_by_time ON {schema}.access_log USING brin (at) WITH (autosummarize = on);
