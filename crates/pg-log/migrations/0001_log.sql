-- The invalidation log: what changed, by the transaction that changed it.
--
-- The order of the rows means nothing, and none has a number of its own. `xid` is the writer's top-level transaction, and a reader has seen a
-- row where its snapshot sees that transaction. It is never the system column xmin, which names the subtransaction.
CREATE TABLE {schema}.log (
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    kind text NOT NULL,
    -- + inserted, - deleted, < before and > after an update.
    op "char",
    fields text[] NOT NULL DEFAULT '{}',
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- History only: a coarse row of the same transaction says what it kills.
    loaded boolean NOT NULL DEFAULT false
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX log_xid ON {schema}.log (xid) WHERE NOT loaded;
-- So that a publication of all tables does not refuse to trim it.
ALTER TABLE {schema}.log REPLICA IDENTITY FULL;

-- Changes when the server comes up from a crash, and at no clean restart: statistics are begun anew after a recovery only. (It changes, too, where
-- somebody resets them by hand, which costs what a crash does.)
CREATE FUNCTION {schema}.incarnation() RETURNS text LANGUAGE sql STABLE
    RETURN coalesce(extract(epoch FROM pg_catalog.pg_stat_get_bgwriter_stat_reset_time())::text, '');

-- One row: which history this is, from which transaction on the log is whole, and for which incarnation of the server that has been settled.
CREATE TABLE {schema}.log_state (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
    trimmed_below xid8 NOT NULL DEFAULT '0',
    incarnation text NOT NULL DEFAULT {schema}.incarnation()
);
INSERT INTO {schema}.log_state DEFAULT VALUES;

-- After a crash the server gives numbers of transactions again that it had given before: those that had ended, but not reached the disk. A snapshot
-- from before the crash claims to have seen them. So as many numbers are used up as can have been lost (what has ended is on the disk within
-- three times wal_writer_delay, 0.6 s), and everything below is forgotten: by the floor, which every reader obeys.
CREATE PROCEDURE {schema}.settle(numbers bigint DEFAULT 65536) LANGUAGE plpgsql AS $settle$
DECLARE
    live text := {schema}.incarnation();
    lock_number bigint := pg_catalog.hashtextextended('{schema}.settle', 0);
    target bigint;
BEGIN
    -- Of the session, because transactions end below. Whoever calls this closes the connection where it fails.
    PERFORM pg_catalog.pg_advisory_lock(lock_number);
    COMMIT;
    IF live OPERATOR(pg_catalog.<>) (SELECT s.incarnation FROM {schema}.log_state s) THEN
        target := pg_catalog.pg_current_xact_id()::pg_catalog.text::bigint OPERATOR(pg_catalog.+) numbers;
        WHILE pg_catalog.pg_current_xact_id()::pg_catalog.text::bigint OPERATOR(pg_catalog.<) target LOOP
            COMMIT;
        END LOOP;
        SET LOCAL synchronous_commit = on;
        UPDATE {schema}.log_state SET incarnation = live, trimmed_below = pg_catalog.pg_current_xact_id()
            WHERE trimmed_below OPERATOR(pg_catalog.<) pg_catalog.pg_current_xact_id();
        IF NOT FOUND THEN
            RAISE EXCEPTION 'the log is ahead of this server: it was restored from another one; call {schema}.new_epoch()';
        END IF;
        COMMIT;
    END IF;
    PERFORM pg_catalog.pg_advisory_unlock(lock_number);
END $settle$;

-- Another history from now on: after a restore. Whoever runs starts anew.
CREATE FUNCTION {schema}.new_epoch() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $epoch$
BEGIN
    DELETE FROM {schema}.log;
    DELETE FROM {schema}.log_marks;
    UPDATE {schema}.log_state SET epoch = gen_random_uuid(), trimmed_below = pg_current_xact_id(), incarnation = {schema}.incarnation();
END $epoch$;

-- Snapshots by the time at which they were taken: every transaction below the snapshot's xmin had ended by then. `at` of a log row says nothing of that kind, because
-- its writer may commit hours later.
CREATE TABLE {schema}.log_marks (
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended_below xid8 NOT NULL
);
ALTER TABLE {schema}.log_marks REPLICA IDENTITY FULL;

-- The log's identity, its floor, the snapshot of this statement, and every row that another snapshot did not see: of that, the end (`seen_below`), and
-- what had not ended before it (`seen_not`), are given. The first row says the former as its fields.
--
-- As a function, because its plan is the same for all snapshots and takes longer to find than to run: the planner would look for a better one each
-- time. STABLE, so that it sees what the statement sees that calls it.
CREATE FUNCTION {schema}.poll(seen_below text, seen_not text, seen_incarnation text, max_rows bigint)
RETURNS TABLE (kind text, xid bigint, op text, fields text[], at bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $poll$
DECLARE
    system text := '';
BEGIN
    -- Without the right to call it, another cluster is told by its database and its epoch alone.
    IF pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute') THEN
        SELECT system_identifier INTO system FROM pg_catalog.pg_control_system();
    END IF;
    RETURN QUERY
        SELECT NULL::text, NULL::bigint, NULL::text, ARRAY[
            pg_catalog.pg_current_snapshot()::text,
            pg_catalog.pg_current_xact_id_if_assigned()::text,
            -- The timeline that is written now; the control file still names the old one for a moment after a promotion.
            CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
                pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
            system,
            (SELECT d.oid::text FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()),
            s.epoch::text, s.trimmed_below::text, s.incarnation, {schema}.incarnation(),
            seen_below, seen_not, seen_incarnation], NULL::bigint
        FROM {schema}.log_state s
        -- One more than allowed says that there are more.
        UNION ALL (SELECT l.kind, l.xid::text::bigint, l.op::text, l.fields, (extract(epoch FROM l.at) * 1000)::bigint
            FROM {schema}.log l WHERE NOT l.loaded AND l.xid >= seen_below::xid8 ORDER BY l.xid LIMIT max_rows + 1)
        UNION ALL (SELECT l.kind, l.xid::text::bigint, l.op::text, l.fields, (extract(epoch FROM l.at) * 1000)::bigint
            FROM {schema}.log l WHERE NOT l.loaded AND l.xid = ANY (seen_not::xid8[]) ORDER BY l.xid LIMIT max_rows + 1);
END $poll$;

-- The tables whose changes are logged.
CREATE TABLE {schema}.attached (
    target regclass PRIMARY KEY,
    kind text NOT NULL,
    columns text[] NOT NULL
);

-- Logs every change of a table from now on: by anybody, also where triggers are switched off for replication, which is what ALWAYS is for.
--
-- What the triggers do stands in the way of every commit. So there is one function for each operation, whose only question is whether the
-- writer is a server of ours: a row of the log is all that it writes then. Everything in them is named with its schema, conversions and
-- operators included, so that no search_path has to be set for each row; the arguments of `format` come from the catalogue.
CREATE FUNCTION {schema}.attach(target regclass, row_kind text, column_names text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $attach$
DECLARE
    home text := '{schema}'::regnamespace::text;
    prefix text := (SELECT nspname FROM pg_namespace WHERE oid = '{schema}'::regnamespace);
    stem text := 'log_' || md5(target::text) || '_';
    missing text;
    new_fields text;
    old_fields text;
    operation text;
    body text;
    fast text := $part$IF pg_catalog.current_setting('tiergate.writer', true) OPERATOR(pg_catalog.=) 'on' THEN$part$;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_class WHERE oid = target AND relkind = 'r' AND relpersistence = 'p' AND NOT relispartition)
        OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = target OR inhparent = target)
    THEN
        RAISE EXCEPTION 'the log can be attached to ordinary, logged tables without partitions and children; % is none', target
            USING ERRCODE = 'wrong_object_type';
    END IF;
    IF row_kind IN ('all', 'kill') THEN
        RAISE EXCEPTION 'the log uses the kind % itself; choose another one', row_kind USING ERRCODE = 'reserved_name';
    END IF;
    SELECT name INTO missing FROM unnest(column_names) AS name
        WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = target AND attname = name AND attnum > 0 AND NOT attisdropped);
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '% has no column %', target, missing USING ERRCODE = 'undefined_column';
    END IF;
    SELECT format('ARRAY[%s]::pg_catalog.text[]', string_agg(format('NEW.%I::pg_catalog.text', name), ', ' ORDER BY place)),
            format('ARRAY[%s]::pg_catalog.text[]', string_agg(format('OLD.%I::pg_catalog.text', name), ', ' ORDER BY place))
        INTO new_fields, old_fields FROM unnest(column_names) WITH ORDINALITY AS named (name, place);

    FOREACH operation IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
        body := CASE operation
            WHEN 'insert' THEN format($part$
                %1$s
                    INSERT INTO %2$s.log (kind, op, fields) VALUES (%3$L, '+', %4$s);
                    RETURN NULL;
                END IF;
                PERFORM %2$s.log_otherwise(%3$L, '+', %4$s);$part$, fast, home, row_kind, new_fields)
            WHEN 'delete' THEN format($part$
                %1$s
                    INSERT INTO %2$s.log (kind, op, fields) VALUES (%3$L, '-', %4$s);
                    RETURN NULL;
                END IF;
                PERFORM %2$s.log_otherwise(%3$L, '-', %4$s);$part$, fast, home, row_kind, old_fields)
            -- The second row also where none of these columns changed: another one did.
            ELSE format($part$
                IF %4$s OPERATOR(pg_catalog.<>) %5$s THEN
                    PERFORM %2$s.log_otherwise(%3$L, '<', %4$s);
                END IF;
                PERFORM %2$s.log_otherwise(%3$L, '>', %5$s);$part$, fast, home, row_kind, old_fields, new_fields)
        END;
        EXECUTE format($part$CREATE OR REPLACE FUNCTION %s.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS %L$part$,
            home, stem || operation, format('BEGIN%s RETURN NULL; END', body));
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON %s FOR EACH ROW EXECUTE FUNCTION %s.%I()',
            prefix || '_log_' || operation, operation, target, home, stem || operation);
    END LOOP;
    EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION %s.log_truncate()',
        prefix || '_log_truncate', target, home);
    EXECUTE format('ALTER TABLE %s %s', target, (SELECT string_agg(format('ENABLE ALWAYS TRIGGER %I', name), ', ')
        FROM unnest({schema}.log_triggers()) AS name));
    INSERT INTO {schema}.attached (target, kind, columns) VALUES (attach.target, row_kind, column_names)
        ON CONFLICT ON CONSTRAINT attached_pkey DO UPDATE SET kind = excluded.kind, columns = excluded.columns;
    -- Of what was cached until now nobody knows what it was computed from.
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', ARRAY['attached', target::text]);
END $attach$;

-- The names of the triggers of an attached table.
CREATE FUNCTION {schema}.log_triggers() RETURNS text[] LANGUAGE sql STABLE
    RETURN (SELECT ARRAY[nspname || '_log_insert', nspname || '_log_update', nspname || '_log_delete', nspname || '_log_truncate']
        FROM pg_catalog.pg_namespace WHERE oid = '{schema}'::regnamespace);

-- Logs a change of whoever is no server of ours, of a bulk change, and of an update.
CREATE FUNCTION {schema}.log_otherwise(row_kind text, row_op "char", row_fields text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $otherwise$
DECLARE
    writer text := coalesce(current_setting('tiergate.writer', true), '');
    bulk boolean := writer LIKE '% quiet' OR writer LIKE '% history';
BEGIN
    -- Only where the coarse row that stands for this one was written by this very transaction.
    bulk := bulk AND split_part(writer, ' ', 1) = pg_current_xact_id()::text;
    IF bulk AND writer LIKE '% quiet' THEN
        RETURN;
    END IF;
    INSERT INTO {schema}.log (kind, op, fields, loaded) VALUES (row_kind, row_op, row_fields, bulk);
    IF writer <> 'on' AND NOT bulk THEN
        PERFORM {schema}.notify_inside();
    END IF;
END $otherwise$;

-- For writers that wake nobody after their commit. Ours do, because a NOTIFY inside serialises commits. A transaction that notified can't be
-- prepared: where that is done, the polls have to do.
CREATE FUNCTION {schema}.notify_inside() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $notify$
BEGIN
    IF current_setting('max_prepared_transactions') = '0' THEN
        PERFORM pg_notify((SELECT nspname FROM pg_namespace WHERE oid = '{schema}'::regnamespace), '');
    END IF;
END $notify$;

CREATE FUNCTION {schema}.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $truncate$
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', ARRAY['truncated', TG_RELID::regclass::text]);
    IF current_setting('tiergate.writer', true) IS DISTINCT FROM 'on' THEN
        PERFORM {schema}.notify_inside();
    END IF;
    RETURN NULL;
END $truncate$;

-- Ends what attach began.
CREATE FUNCTION {schema}.detach(target regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $detach$
DECLARE
    home text := '{schema}'::regnamespace::text;
    name text;
BEGIN
    DELETE FROM {schema}.attached WHERE attached.target = detach.target;
    FOREACH name IN ARRAY {schema}.log_triggers() LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', name, target);
    END LOOP;
    FOREACH name IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s.%I()', home, 'log_' || md5(target::text) || '_' || name);
    END LOOP;
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', ARRAY['detached', target::text]);
END $detach$;

-- Begins a bulk change: one coarse row is written now, and the rows of this transaction's changes kill nothing more. Both end with the
-- transaction, or with the savepoint that this was called in: neither can be had without the other.
CREATE FUNCTION {schema}.begin_bulk(coarse_kind text DEFAULT 'all', coarse_fields text[] DEFAULT '{}', keep_history boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bulk$
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES (coarse_kind, coarse_fields);
    PERFORM set_config('tiergate.writer', pg_current_xact_id()::text || CASE WHEN keep_history THEN ' history' ELSE ' quiet' END, true);
END $bulk$;

-- Refuses what would take rows away, or let them change, without a row in the log. Needs a superuser to be installed.
CREATE FUNCTION {schema}.guard() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    names text[] := {schema}.log_triggers();
    broken text;
BEGIN
    SELECT attached.target::text INTO broken FROM {schema}.attached WHERE
        cardinality(names) <> (SELECT count(*) FROM pg_trigger
            WHERE tgrelid = attached.target AND tgenabled = 'A' AND tgname = ANY (names))
        OR NOT EXISTS (SELECT FROM pg_class WHERE oid = attached.target AND relpersistence = 'p' AND NOT relispartition)
        OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = attached.target OR inhparent = attached.target)
        LIMIT 1;
    IF broken IS NOT NULL THEN
        RAISE EXCEPTION 'changes of table % would no longer reach the invalidation log, and revocations in it be missed; call %.detach first',
            broken, '{schema}'::regnamespace USING ERRCODE = 'object_in_use';
    END IF;
END $guard$;

CREATE FUNCTION {schema}.install_guard() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $install$
DECLARE
    prefix text := (SELECT nspname FROM pg_namespace WHERE oid = '{schema}'::regnamespace);
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RETURN false;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_event_trigger WHERE evtname = prefix || '_guard_drop') THEN
        EXECUTE format('CREATE EVENT TRIGGER %I ON ddl_command_end WHEN TAG IN (''ALTER TABLE'', ''ALTER TRIGGER'', ''CREATE TABLE'')
            EXECUTE FUNCTION {schema}.guard()', prefix || '_guard_change');
        EXECUTE format('CREATE EVENT TRIGGER %I ON sql_drop EXECUTE FUNCTION {schema}.guard()', prefix || '_guard_drop');
    END IF;
    RETURN true;
END $install$;

SELECT {schema}.install_guard();
