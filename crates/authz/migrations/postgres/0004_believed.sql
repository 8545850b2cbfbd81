-- Whoever may change relationships needs no other right, and can't do it past the log: what the triggers write, they write by the rights of whoever
-- made the tables, and what a setting of a session says is believed only of those who may write to the log themselves.
ALTER FUNCTION {schema}.tuples_changed() SECURITY DEFINER;
ALTER FUNCTION {schema}.properties_changed() SECURITY DEFINER;
ALTER FUNCTION {schema}.models_written() SECURITY DEFINER;
ALTER FUNCTION {schema}.models_changed() SECURITY DEFINER;
ALTER FUNCTION {schema}.stores_go() SECURITY DEFINER;
ALTER FUNCTION {schema}.stores_changed() SECURITY DEFINER;
ALTER FUNCTION {schema}.truncated() SECURITY DEFINER;

-- The setting says where the row lies that stands for the others, and that row is the proof.
CREATE OR REPLACE FUNCTION {schema}.replace_store(store text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place tid;
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('replaced', ARRAY[store]) RETURNING ctid INTO place;
    PERFORM set_config('tiergate.coarse', place::text || ' ' || store, true);
END $$;

CREATE OR REPLACE FUNCTION {schema}.is_told_alone(store text) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    coarse text := coalesce(current_setting('tiergate.coarse', true), '');
    told integer;
BEGIN
    IF coarse ~ '^\(\d{1,9},\d{1,5}\) ' AND substr(coarse, strpos(coarse, ' ') + 1) = store
       AND EXISTS (SELECT FROM {schema}.log l
                   WHERE l.ctid = split_part(coarse, ' ', 1)::tid AND l.xid = pg_current_xact_id_if_assigned()
                     AND l.kind = 'replaced' AND l.fields = ARRAY[store]) THEN
        RETURN false;
    END IF;
    told := greatest(0, coalesce(nullif(current_setting('tiergate.told', true), '')::integer, 0));
    IF told >= 2000 THEN
        PERFORM {schema}.replace_store(store);
        RETURN false;
    END IF;
    PERFORM set_config('tiergate.told', (told + 1)::text, true);
    RETURN true;
END $$;

-- Rows of the log go to every instance, so that their length is bounded as our API bounds it. Rows that are there already stay.
ALTER TABLE {schema}.tuples ADD CONSTRAINT tuples_are_short CHECK (octet_length(store) + octet_length(object_type) + octet_length(object_id)
    + octet_length(relation) + octet_length(subject_type) + octet_length(subject_relation) + octet_length(subject_id) <= 4096) NOT VALID;
ALTER TABLE {schema}.properties ADD CONSTRAINT properties_are_short CHECK (octet_length(store) + octet_length(object_type)
    + octet_length(object_id) <= 4096) NOT VALID;

-- Whether this transaction keeps the books of its changes itself, as the server's do. Whoever could write false books may also keep none.
CREATE FUNCTION {schema}.keeps_books() RETURNS boolean LANGUAGE sql STABLE
RETURN pg_catalog.current_setting('tiergate.bulk', true) IS NOT DISTINCT FROM pg_catalog.pg_current_xact_id()::text
       AND pg_catalog.has_table_privilege('{schema}.log'::regclass, 'INSERT');

SELECT {schema}.unguard_table('{schema}.tuples'), {schema}.unguard_table('{schema}.properties'), {schema}.unguard_table('{schema}.models');

CREATE OR REPLACE TRIGGER tuples_changed AFTER INSERT OR UPDATE OR DELETE ON {schema}.tuples FOR EACH ROW
WHEN (NOT {schema}.keeps_books()) EXECUTE FUNCTION {schema}.tuples_changed();
CREATE OR REPLACE TRIGGER properties_changed AFTER INSERT OR UPDATE OR DELETE ON {schema}.properties FOR EACH ROW
WHEN (NOT {schema}.keeps_books()) EXECUTE FUNCTION {schema}.properties_changed();
CREATE OR REPLACE TRIGGER models_changed AFTER INSERT OR DELETE ON {schema}.models FOR EACH ROW
WHEN (NOT {schema}.keeps_books()) EXECUTE FUNCTION {schema}.models_changed();
CREATE OR REPLACE TRIGGER changes_do_not_change BEFORE UPDATE OR DELETE ON {schema}.changes FOR EACH ROW
WHEN (NOT {schema}.keeps_books()) EXECUTE FUNCTION {schema}.is_kept();

ALTER TABLE {schema}.tuples ENABLE ALWAYS TRIGGER tuples_changed;
ALTER TABLE {schema}.properties ENABLE ALWAYS TRIGGER properties_changed;
ALTER TABLE {schema}.models ENABLE ALWAYS TRIGGER models_changed;
ALTER TABLE {schema}.changes ENABLE ALWAYS TRIGGER changes_do_not_change;

SELECT {schema}.guard_table('{schema}.tuples', ARRAY['tuples_changed', 'tuples_truncated']),
       {schema}.guard_table('{schema}.properties', ARRAY['properties_changed', 'properties_truncated']),
       {schema}.guard_table('{schema}.models', ARRAY['models_written', 'models_changed', 'models_truncated']);
