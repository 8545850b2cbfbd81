-- Relationships under conditions, stored properties of objects, assertions about models.

-- '' for a relationship that counts always, so that an absent condition is a value like any other and never NULL. The values of a
-- condition are the text of a JSON object; '' where it brings none. Whatever has values has a condition: a row that lost its name must
-- not read as one that counts always.
ALTER TABLE tuples ADD COLUMN condition TEXT NOT NULL DEFAULT '';
ALTER TABLE tuples ADD COLUMN condition_context TEXT NOT NULL DEFAULT ''
    CHECK (condition_context = ''
           OR (condition <> '' AND json_valid(condition_context) AND json_type(condition_context) = 'object'));

-- Which objects of a type a subject stands in a relation to: one range, in the order of ids, answered from the index alone. It has the
-- relation before the object's id, unlike the index that it replaces.
DROP INDEX tuples_by_subject;
CREATE INDEX tuples_by_subject
    ON tuples (store, subject_type, subject_relation, subject_id, object_type, relation, object_id, condition,
               condition_context);

-- What a relationship was written under. NULL in the rows of anything else.
ALTER TABLE changes ADD COLUMN condition TEXT;
ALTER TABLE changes ADD COLUMN condition_context TEXT;

CREATE TABLE properties (
    store       TEXT NOT NULL,
    object_type TEXT NOT NULL CHECK (object_type <> ''),
    object_id   TEXT NOT NULL CHECK (object_id NOT IN ('', '*')),
    body        TEXT NOT NULL CHECK (json_valid(body) AND json_type(body) = 'object'),
    PRIMARY KEY (store, object_type, object_id)
) STRICT;

CREATE TABLE assertions (
    store TEXT NOT NULL,
    model TEXT NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (store, model)
) STRICT;

DROP TRIGGER tuples_inserted;
DROP TRIGGER tuples_updated;
DROP TRIGGER stores_deleted;

CREATE TRIGGER tuples_inserted AFTER INSERT ON tuples
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                         condition, condition_context, at)
    VALUES (CASE WHEN (SELECT loading FROM meta) = 1 THEN 'loaded' ELSE 'inserted' END, NEW.store, NEW.object_type,
            NEW.object_id, NEW.relation, NEW.subject_type, NEW.subject_relation, NEW.subject_id, NEW.condition,
            NEW.condition_context, NEW.written_at);
END;

-- Also where only the condition is another one: whoever read the relationship under the old one must read it again.
CREATE TRIGGER tuples_updated AFTER UPDATE ON tuples
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id)
    VALUES ('deleted', OLD.store, OLD.object_type, OLD.object_id, OLD.relation, OLD.subject_type, OLD.subject_relation,
            OLD.subject_id);
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                         condition, condition_context)
    VALUES ('inserted', NEW.store, NEW.object_type, NEW.object_id, NEW.relation, NEW.subject_type,
            NEW.subject_relation, NEW.subject_id, NEW.condition, NEW.condition_context);
END;

CREATE TRIGGER properties_need_a_store BEFORE INSERT ON properties
WHEN NOT EXISTS (SELECT 1 FROM stores WHERE id = NEW.store)
BEGIN
    SELECT RAISE(ABORT, 'there is no such store');
END;

CREATE TRIGGER properties_stay_in_a_store BEFORE UPDATE OF store ON properties
WHEN NOT EXISTS (SELECT 1 FROM stores WHERE id = NEW.store)
BEGIN
    SELECT RAISE(ABORT, 'there is no such store');
END;

-- A row of kind 'properties' names an object and no relation.
CREATE TRIGGER properties_inserted AFTER INSERT ON properties
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id)
    VALUES ('properties', NEW.store, NEW.object_type, NEW.object_id);
END;

CREATE TRIGGER properties_updated AFTER UPDATE ON properties
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id)
    VALUES ('properties', NEW.store, NEW.object_type, NEW.object_id);
END;

CREATE TRIGGER properties_moved AFTER UPDATE ON properties
WHEN OLD.store <> NEW.store OR OLD.object_type <> NEW.object_type OR OLD.object_id <> NEW.object_id
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id)
    VALUES ('properties', OLD.store, OLD.object_type, OLD.object_id);
END;

-- Not while a store is deleted, as with relationships.
CREATE TRIGGER properties_deleted AFTER DELETE ON properties
WHEN EXISTS (SELECT 1 FROM stores WHERE id = OLD.store)
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id)
    VALUES ('properties', OLD.store, OLD.object_type, OLD.object_id);
END;

CREATE TRIGGER assertions_need_a_model BEFORE INSERT ON assertions
WHEN NOT EXISTS (SELECT 1 FROM models WHERE store = NEW.store AND id = NEW.model)
BEGIN
    SELECT RAISE(ABORT, 'there is no such model');
END;

CREATE TRIGGER assertions_stay_with_a_model BEFORE UPDATE OF store, model ON assertions
WHEN NOT EXISTS (SELECT 1 FROM models WHERE store = NEW.store AND id = NEW.model)
BEGIN
    SELECT RAISE(ABORT, 'there is no such model');
END;

-- Also those of a store that is deleted: its models go one by one.
CREATE TRIGGER assertions_go_with_their_model AFTER DELETE ON models
BEGIN
    DELETE FROM assertions WHERE store = OLD.store AND model = OLD.id;
END;

-- Nobody can read the changes of a store that is gone, and the 'replaced' row kills whatever they would.
CREATE TRIGGER stores_deleted AFTER DELETE ON stores
BEGIN
    DELETE FROM tuples WHERE store = OLD.id;
    DELETE FROM properties WHERE store = OLD.id;
    DELETE FROM models WHERE store = OLD.id;
    UPDATE meta SET loading = 1;
    DELETE FROM changes WHERE store = OLD.id;
    UPDATE meta SET loading = 0;
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.id);
END;
