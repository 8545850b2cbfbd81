-- Who is believed, and what is refused: whoever may change a table may not change it past the log, on purpose or by accident.

-- Rows of the log are deleted below the floor alone, which every reader obeys, and never change.
CREATE FUNCTION {schema}.log_is_kept() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $kept$
BEGIN
    -- OR would not keep the second half from being run where there are no such rows.
    IF TG_OP = 'DELETE' THEN
        IF NOT EXISTS (SELECT FROM gone WHERE gone.xid >= (SELECT s.trimmed_below FROM {schema}.log_state s)) THEN
            RETURN NULL;
        END IF;
    END IF;
    RAISE EXCEPTION '% of the invalidation log is refused: revocations in it would be missed. It is trimmed by the instances; after a restore call %.new_epoch()',
        TG_OP, '{schema}'::regnamespace USING ERRCODE = 'object_in_use';
END $kept$;

CREATE TRIGGER log_is_trimmed AFTER DELETE ON {schema}.log REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
    EXECUTE FUNCTION {schema}.log_is_kept();
CREATE TRIGGER log_stays BEFORE UPDATE OR TRUNCATE ON {schema}.log FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_is_kept();
ALTER TABLE {schema}.log ENABLE ALWAYS TRIGGER log_is_trimmed, ENABLE ALWAYS TRIGGER log_stays;

-- As before, in the order that keeps to that.
CREATE OR REPLACE FUNCTION {schema}.new_epoch() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $epoch$
BEGIN
    UPDATE {schema}.log_state SET epoch = gen_random_uuid(), trimmed_below = pg_current_xact_id(), incarnation = {schema}.incarnation();
    DELETE FROM {schema}.log WHERE xid < (SELECT s.trimmed_below FROM {schema}.log_state s);
    DELETE FROM {schema}.log_marks;
END $epoch$;

-- What a setting says is no proof: anybody may set it. The row that stands for the others is one, and says by its op what it is.
CREATE OR REPLACE FUNCTION {schema}.begin_bulk(coarse_kind text DEFAULT 'all', coarse_fields text[] DEFAULT '{}', keep_history boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bulk$
DECLARE
    place tid;
BEGIN
    INSERT INTO {schema}.log (kind, op, fields) VALUES (coarse_kind, '*', coarse_fields) RETURNING ctid INTO place;
    PERFORM set_config('tiergate.writer', format('%s %s', place, CASE WHEN keep_history THEN 'history' ELSE 'quiet' END), true);
END $bulk$;

CREATE OR REPLACE FUNCTION {schema}.log_otherwise(row_kind text, row_op "char", row_fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $otherwise$
DECLARE
    writer text := coalesce(current_setting('tiergate.writer', true), '');
    bulk boolean := false;
BEGIN
    -- Only where this very transaction wrote the coarse row that stands for this one.
    IF writer ~ '^\(\d{1,9},\d{1,5}\) (quiet|history)$' THEN
        bulk := EXISTS (SELECT FROM {schema}.log l
            WHERE l.ctid = split_part(writer, ' ', 1)::tid AND l.xid = pg_current_xact_id_if_assigned() AND l.op = '*');
    END IF;
    IF bulk AND writer LIKE '% quiet' THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.log (kind, op, fields, loaded) VALUES (row_kind, row_op, row_fields, bulk);
    IF writer <> 'on' AND NOT bulk THEN
        PERFORM {schema}.notify_inside();
    END IF;
END $otherwise$;

-- A guarded table is used by its name: one that was renamed, with another in its place, is guarded in vain. Its triggers call the functions that they
-- called when it was guarded. And nothing hides rows from some and shows them to others.
ALTER TABLE {schema}.guarded ADD COLUMN seal text;

CREATE FUNCTION {schema}.seal(target regclass, triggers text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $seal$
    SELECT concat_ws(' ', c.relnamespace::regnamespace, c.relname, 'hides', c.relrowsecurity, c.relforcerowsecurity, 'rules', c.relhasrules,
        (SELECT string_agg(concat_ws(' ', t.tgname, t.tgtype, t.tgfoid::regproc), ', ' ORDER BY t.tgname)
         FROM pg_trigger t WHERE t.tgrelid = target AND t.tgname = ANY (triggers)))
    FROM pg_class c WHERE c.oid = target
$seal$;

UPDATE {schema}.guarded SET seal = {schema}.seal(target, triggers);
ALTER TABLE {schema}.guarded ALTER COLUMN seal SET NOT NULL;

CREATE OR REPLACE FUNCTION {schema}.guard_table(target regclass, triggers text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard_table$
BEGIN
    IF NOT {schema}.is_watched(target, triggers) THEN
        RAISE EXCEPTION 'not every one of the triggers % of % is there and enabled ALWAYS, or rows of it can go without them', triggers, target
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO {schema}.guarded (target, triggers, seal) VALUES (guard_table.target, guard_table.triggers, {schema}.seal(target, triggers))
        ON CONFLICT ON CONSTRAINT guarded_pkey DO UPDATE SET triggers = excluded.triggers, seal = excluded.seal;
END $guard_table$;

CREATE OR REPLACE FUNCTION {schema}.guard() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    broken text;
    remedy text;
BEGIN
    SELECT known.target::text, known.remedy INTO broken, remedy FROM (
        SELECT a.target, {schema}.is_watched(a.target, {schema}.log_triggers()) AS is_watched, 'detach' AS remedy FROM {schema}.attached a
        UNION ALL
        SELECT g.target, {schema}.is_watched(g.target, g.triggers) AND {schema}.seal(g.target, g.triggers) = g.seal, 'unguard_table'
        FROM {schema}.guarded g) known
    -- attach makes its triggers one after the other.
    WHERE known.is_watched IS NOT TRUE AND NOT (TG_TAG = 'CREATE TRIGGER' AND known.remedy = 'detach') LIMIT 1;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'changes of table % would no longer reach the invalidation log, and revocations in it be missed; call %.% first',
            broken, '{schema}'::regnamespace, remedy USING ERRCODE = 'object_in_use';
    END IF;
END $guard$;

CREATE OR REPLACE FUNCTION {schema}.install_guard() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $install$
DECLARE
    prefix text := (SELECT nspname FROM pg_namespace WHERE oid = '{schema}'::regnamespace);
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN false;
    END IF;
    EXECUTE format('DROP EVENT TRIGGER IF EXISTS %I', prefix || '_guard_change');
    EXECUTE format('DROP EVENT TRIGGER IF EXISTS %I', prefix || '_guard_drop');
    EXECUTE format('CREATE EVENT TRIGGER %I ON ddl_command_end
        WHEN TAG IN (''ALTER TABLE'', ''ALTER TRIGGER'', ''CREATE TABLE'', ''CREATE TRIGGER'', ''CREATE RULE'', ''ALTER SCHEMA'')
        EXECUTE FUNCTION {schema}.guard()', prefix || '_guard_change');
    EXECUTE format('CREATE EVENT TRIGGER %I ON sql_drop EXECUTE FUNCTION {schema}.guard()', prefix || '_guard_drop');
    EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', prefix || '_guard_change');
    EXECUTE format('ALTER EVENT TRIGGER %I ENABLE ALWAYS', prefix || '_guard_drop');
    RETURN true;
END $install$;

SELECT {schema}.guard_table('{schema}.log', ARRAY['log_is_trimmed', 'log_stays']);
SELECT {schema}.install_guard();
