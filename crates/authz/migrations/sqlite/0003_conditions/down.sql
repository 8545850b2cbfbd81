DROP TRIGGER assertions_go_with_their_model;
DROP TABLE assertions;
DROP TABLE properties;
DROP TRIGGER tuples_inserted;
DROP TRIGGER tuples_updated;
DROP TRIGGER stores_deleted;
-- Dropped first: a column that an index names cannot go.
DROP INDEX tuples_by_subject;
-- Without its condition a relationship would count always.
DELETE FROM tuples WHERE condition <> '';
ALTER TABLE tuples DROP COLUMN condition_context;
ALTER TABLE tuples DROP COLUMN condition;
ALTER TABLE changes DROP COLUMN condition_context;
ALTER TABLE changes DROP COLUMN condition;

CREATE INDEX tuples_by_subject
    ON tuples (store, subject_type, subject_id, subject_relation, object_type, object_id, relation);

CREATE TRIGGER tuples_inserted AFTER INSERT ON tuples
BEGIN
    INSERT INTO changes (kind, store, object_type, object_id, relation, subject_type, subject_relation, subject_id, at)
    VALUES (CASE WHEN (SELECT loading FROM meta) = 1 THEN 'loaded' ELSE 'inserted' END, NEW.store, NEW.object_type,
            NEW.object_id, NEW.relation, NEW.subject_type, NEW.subject_relation, NEW.subject_id, NEW.written_at);
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

CREATE TRIGGER stores_deleted AFTER DELETE ON stores
BEGIN
    DELETE FROM tuples WHERE store = OLD.id;
    DELETE FROM models WHERE store = OLD.id;
    UPDATE meta SET loading = 1;
    DELETE FROM changes WHERE store = OLD.id;
    UPDATE meta SET loading = 0;
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.id);
END;
