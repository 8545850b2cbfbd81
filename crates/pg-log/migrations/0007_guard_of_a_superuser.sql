-- The guard runs within the statements of whoever changes tables, a superuser among them. Whoever owns a function can replace it by another, which
-- would run with all their rights. So it is only installed where it belongs to a superuser itself.
CREATE OR REPLACE FUNCTION {schema}.install_guard() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $install$
DECLARE
    prefix text := (SELECT nspname FROM pg_namespace WHERE oid = '{schema}'::regnamespace);
    -- Whoever owns the schema can put another function in the place of one that the guard calls.
    stranger name := (SELECT r.rolname FROM pg_roles r WHERE NOT r.rolsuper AND r.oid IN (
        SELECT p.proowner FROM pg_proc p WHERE p.pronamespace = '{schema}'::regnamespace
        UNION ALL SELECT n.nspowner FROM pg_namespace n WHERE n.oid = '{schema}'::regnamespace) LIMIT 1);
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN false;
    END IF;
    IF stranger IS NOT NULL THEN
        RAISE WARNING 'no guard is installed: role % could replace what it calls, and run anything as a superuser', stranger
            USING HINT = 'let nobody alter these tables instead';
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

-- One that an earlier release installed stays only if it may.
DO $stays$
BEGIN
    IF NOT {schema}.install_guard() AND EXISTS (SELECT FROM pg_catalog.pg_event_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.evtfoid
            WHERE p.pronamespace = '{schema}'::regnamespace) THEN
        RAISE WARNING 'a superuser should take the event triggers of schema % away: they call functions of a role that is no superuser',
            '{schema}'::regnamespace;
    END IF;
END $stays$;
