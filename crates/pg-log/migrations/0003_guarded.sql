-- Tables whose triggers are written by hand, and log what others compute from them as those of attach do: each by the names of those that must always
-- fire. Whoever makes such triggers says so by guard_table, in the same transaction.
CREATE TABLE {schema}.guarded (
    target regclass PRIMARY KEY,
    triggers text[] NOT NULL CHECK (pg_catalog.cardinality(triggers) > 0)
);

-- Whether every change of a table still reaches the log: all of these triggers are there and fire always, and no row can go without them.
CREATE FUNCTION {schema}.is_watched(target regclass, triggers text[]) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $watched$
    SELECT cardinality(triggers) = (SELECT count(*) FROM pg_trigger
            WHERE tgrelid = target AND tgenabled = 'A' AND tgname = ANY (triggers))
        AND EXISTS (SELECT FROM pg_class WHERE oid = target AND relkind = 'r' AND relpersistence = 'p' AND NOT relispartition)
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = target OR inhparent = target)
$watched$;

-- From now on what would keep the changes of a table from the log is refused, where the guard is installed. Safe to repeat.
CREATE FUNCTION {schema}.guard_table(target regclass, triggers text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $guard_table$
BEGIN
    IF NOT {schema}.is_watched(target, triggers) THEN
        RAISE EXCEPTION 'not every one of the triggers % of % is there and enabled ALWAYS, or rows of it can go without them', triggers, target
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    INSERT INTO {schema}.guarded (target, triggers) VALUES (guard_table.target, guard_table.triggers)
        ON CONFLICT ON CONSTRAINT guarded_pkey DO UPDATE SET triggers = excluded.triggers;
END $guard_table$;

-- Ends that: before a migration that changes these triggers, which guards them again afterwards.
CREATE FUNCTION {schema}.unguard_table(target regclass) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $unguard_table$
    DELETE FROM {schema}.guarded WHERE guarded.target = unguard_table.target
$unguard_table$;

CREATE OR REPLACE FUNCTION {schema}.guard() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    broken text;
    remedy text;
BEGIN
    SELECT known.target::text, known.remedy INTO broken, remedy FROM (
        SELECT a.target, {schema}.log_triggers() AS triggers, 'detach' AS remedy FROM {schema}.attached a
        UNION ALL SELECT g.target, g.triggers, 'unguard_table' FROM {schema}.guarded g) known
    WHERE NOT {schema}.is_watched(known.target, known.triggers) LIMIT 1;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'changes of table % would no longer reach the invalidation log, and revocations in it be missed; call %.% first',
            broken, '{schema}'::regnamespace, remedy USING ERRCODE = 'object_in_use';
    END IF;
END $guard$;
