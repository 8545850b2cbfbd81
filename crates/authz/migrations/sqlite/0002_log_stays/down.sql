DROP TRIGGER changes_are_kept;
DROP TRIGGER changes_do_not_change;
DROP TRIGGER changes_are_new;
DROP TRIGGER stores_deleted;

CREATE TRIGGER stores_deleted AFTER DELETE ON stores
BEGIN
    DELETE FROM tuples WHERE store = OLD.id;
    DELETE FROM models WHERE store = OLD.id;
    DELETE FROM changes WHERE store = OLD.id;
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.id);
END;
