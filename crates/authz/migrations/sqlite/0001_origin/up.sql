-- The origin in one file. Every writer is covered: the log's rows come from triggers, in the writer's own transaction, so that
-- a correction made with the sqlite3 shell is logged like any other write.

-- "TGAT", so that somebody else's data file is recognised before anything is created in it.
PRAGMA application_id = 1413955924;

CREATE TABLE meta (
    only_row  INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- Who this log is. Revisions of two logs mean nothing to each other.
    log_epoch TEXT NOT NULL,
    -- 1 inside the transaction of a bulk load, whose relationships are told to the horizons by one 'replaced' row.
    loading   INTEGER NOT NULL DEFAULT 0 CHECK (loading IN (0, 1))
) STRICT;

INSERT INTO meta (only_row, log_epoch) VALUES (1, lower(hex(randomblob(16))));

CREATE TABLE stores (
    id         TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 26),
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
    -- The order of writing: ids come from the clocks of their writers, which may differ.
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    store    TEXT NOT NULL,
    id       TEXT NOT NULL CHECK (length(id) = 26),
    body     TEXT NOT NULL,
    UNIQUE (store, id)
) STRICT;

CREATE INDEX models_by_age ON models (store, sequence);

-- The order of the key is that of the questions: a point is one look-up, the subjects of one kind are one range.
-- A wildcard has the subject id '*'; a subject without a relation has the relation ''.
CREATE TABLE tuples (
    store            TEXT NOT NULL,
    object_type      TEXT NOT NULL CHECK (object_type <> ''),
    object_id        TEXT NOT NULL CHECK (object_id NOT IN ('', '*')),
    relation         TEXT NOT NULL CHECK (relation <> ''),
    subject_type     TEXT NOT NULL CHECK (subject_type <> ''),
    subject_relation TEXT NOT NULL DEFAULT '',
    subject_id       TEXT NOT NULL CHECK (subject_id <> ''),
    -- Milliseconds since the Unix epoch. julianday works in shells that are too old for unixepoch('subsec').
    written_at       INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    PRIMARY KEY (store, object_type, object_id, relation, subject_type, subject_relation, subject_id),
    CHECK (subject_id <> '*' OR subject_relation = '')
) STRICT, WITHOUT ROWID;

CREATE INDEX tuples_by_subject
    ON tuples (store, subject_type, subject_id, subject_relation, object_type, object_id, relation);

-- The log. One writer at a time makes the order of revisions that of the commits.
CREATE TABLE changes (
    revision         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- inserted, deleted, loaded (inserted in bulk), model, replaced, invalidated
    kind             TEXT NOT NULL,
    store            TEXT,
    object_type      TEXT,
    object_id        TEXT,
    relation         TEXT,
    subject_type     TEXT,
    subject_relation TEXT,
    subject_id       TEXT,
    scope            TEXT,
    at               INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))
) STRICT;

-- Ends with the revision, as every index of such a table does: one range for each page of a store's changes.
CREATE INDEX changes_by_store ON changes (store);

-- Foreign keys hold only for connections that ask for them, and a shell doesn't; triggers hold for everybody.
CREATE TRIGGER tuples_need_a_store BEFORE INSERT ON tuples
WHEN NOT EXISTS (SELECT 1 FROM stores WHERE id = NEW.store)
BEGIN
    SELECT RAISE(ABORT, 'there is no such store');
END;

CREATE TRIGGER tuples_stay_in_a_store BEFORE UPDATE OF store ON tuples
WHEN NOT EXISTS (SELECT 1 FROM stores WHERE id = NEW.store)
BEGIN
    SELECT RAISE(ABORT, 'there is no such store');
END;

CREATE TRIGGER tuples_inserted AFTER INSERT ON tuples
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id, at)
    VALUES (CASE WHEN (SELECT loading FROM meta) = 1 THEN 'loaded' ELSE 'inserted' END, NEW.store, NEW.object_type,
            NEW.object_id, NEW.relation, NEW.subject_type, NEW.subject_relation, NEW.subject_id, NEW.written_at);
END;

-- Not while a store is deleted: its own row is gone by then, and one 'replaced' row stands for all of this.
CREATE TRIGGER tuples_deleted AFTER DELETE ON tuples
WHEN EXISTS (SELECT 1 FROM stores WHERE id = OLD.store)
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id)
    VALUES ('deleted', OLD.store, OLD.object_type, OLD.object_id, OLD.relation, OLD.subject_type, OLD.subject_relation,
            OLD.subject_id);
END;

CREATE TRIGGER tuples_updated AFTER UPDATE ON tuples
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id)
    VALUES ('deleted', OLD.store, OLD.object_type, OLD.object_id, OLD.relation, OLD.subject_type, OLD.subject_relation,
            OLD.subject_id);
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id)
    VALUES ('inserted', NEW.store, NEW.object_type, NEW.object_id, NEW.relation, NEW.subject_type,
            NEW.subject_relation, NEW.subject_id);
END;

CREATE TRIGGER models_need_a_store BEFORE INSERT ON models
WHEN NOT EXISTS (SELECT 1 FROM stores WHERE id = NEW.store)
BEGIN
    SELECT RAISE(ABORT, 'there is no such store');
END;

-- Decisions are cached under a model's id, so an id means one model forever. REPLACE INTO would get around the constraint.
CREATE TRIGGER models_are_new BEFORE INSERT ON models
WHEN EXISTS (SELECT 1 FROM models WHERE store = NEW.store AND id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'a model does not change; write a new one');
END;

CREATE TRIGGER models_do_not_change BEFORE UPDATE ON models
BEGIN
    SELECT RAISE(ABORT, 'a model does not change; write a new one');
END;

CREATE TRIGGER models_inserted AFTER INSERT ON models
BEGIN
    INSERT INTO changes (kind, store) VALUES ('model', NEW.store);
END;

CREATE TRIGGER models_deleted AFTER DELETE ON models
WHEN EXISTS (SELECT 1 FROM stores WHERE id = OLD.store)
BEGIN
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.store);
END;

CREATE TRIGGER stores_inserted AFTER INSERT ON stores
BEGIN
    INSERT INTO changes (kind, store) VALUES ('replaced', NEW.id);
END;

CREATE TRIGGER stores_keep_their_id BEFORE UPDATE OF id ON stores
BEGIN
    SELECT RAISE(ABORT, 'the id of a store does not change');
END;

-- Nobody can read the changes of a store that is gone, and the 'replaced' row kills whatever they would.
CREATE TRIGGER stores_deleted AFTER DELETE ON stores
BEGIN
    DELETE FROM tuples WHERE store = OLD.id;
    DELETE FROM models WHERE store = OLD.id;
    DELETE FROM changes WHERE store = OLD.id;
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.id);
END;
