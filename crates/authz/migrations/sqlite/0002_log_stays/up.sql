-- The log only grows. A process has applied it up to a revision and never looks below that again, so a row that goes away or changes
-- there would stay in force, or be missed, for as long as the process lives. Only the deletion of a store takes rows along, and only a
-- write dates the rows that it made itself; both raise the flag of bulk work for that moment.

CREATE TRIGGER changes_are_kept BEFORE DELETE ON changes
WHEN (SELECT loading FROM meta) = 0
BEGIN
    SELECT RAISE(ABORT, 'the log of changes is not shortened; delete the store, or append an invalidation');
END;

CREATE TRIGGER changes_do_not_change BEFORE UPDATE ON changes
WHEN (SELECT loading FROM meta) = 0
BEGIN
    SELECT RAISE(ABORT, 'the log of changes is not rewritten; append an invalidation');
END;

-- REPLACE INTO deletes without asking the trigger of deletions.
CREATE TRIGGER changes_are_new BEFORE INSERT ON changes
WHEN EXISTS (SELECT 1 FROM changes WHERE revision = NEW.revision)
BEGIN
    SELECT RAISE(ABORT, 'the log of changes is not rewritten; append an invalidation');
END;

DROP TRIGGER stores_deleted;

-- Nobody can read the changes of a store that is gone, and the 'replaced' row kills whatever they would.
CREATE TRIGGER stores_deleted AFTER DELETE ON stores
BEGIN
    DELETE FROM tuples WHERE store = OLD.id;
    DELETE FROM models WHERE store = OLD.id;
    UPDATE meta SET loading = 1;
    DELETE FROM changes WHERE store = OLD.id;
    UPDATE meta SET loading = 0;
    INSERT INTO changes (kind, store) VALUES ('replaced', OLD.id);
END;
