-- Whether the identity of this log names the cluster. Decided once, here: where it depended on what the asker may call at the moment, a GRANT or a
-- REVOKE would make one history look like another. Without it another cluster is told by its database and its epoch alone.
ALTER TABLE {schema}.log_state ADD COLUMN names_cluster boolean NOT NULL
    DEFAULT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute');

-- Which history this is: timeline (none on a standby), cluster, database, epoch. The one place that says so, and by the rights of whoever made the
-- tables, so that it says the same to all. Where those were taken away since, it fails, and goes on once they are given back.
CREATE FUNCTION {schema}.identity() RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $identity$
DECLARE
    log_epoch text;
    named boolean;
    cluster text := '';
BEGIN
    SELECT s.epoch::text, s.names_cluster INTO log_epoch, named FROM {schema}.log_state s;
    IF named THEN
        SELECT system_identifier INTO cluster FROM pg_control_system();
    END IF;
    RETURN ARRAY[
        -- The timeline that is written now; the control file still names the old one for a moment after a promotion.
        CASE WHEN NOT pg_is_in_recovery() THEN substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
        cluster, (SELECT d.oid::text FROM pg_database d WHERE d.datname = current_database()), log_epoch];
END $identity$;

-- As before, but for the identity.
CREATE OR REPLACE FUNCTION {schema}.poll(seen_below text, seen_not text, seen_incarnation text, max_rows bigint)
RETURNS TABLE (kind text, xid bigint, op text, fields text[], at bigint)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $poll$
BEGIN
    RETURN QUERY
        SELECT NULL::text, NULL::bigint, NULL::text,
            ARRAY[pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_xact_id_if_assigned()::text]
            || {schema}.identity()
            || ARRAY[s.trimmed_below::text, s.incarnation, {schema}.incarnation(), seen_below, seen_not, seen_incarnation],
            NULL::bigint
        FROM {schema}.log_state s
        -- One more than allowed says that there are more.
        UNION ALL (SELECT l.kind, l.xid::text::bigint, l.op::text, l.fields, (extract(epoch FROM l.at) * 1000)::bigint
            FROM {schema}.log l WHERE NOT l.loaded AND l.xid >= seen_below::xid8 ORDER BY l.xid LIMIT max_rows + 1)
        UNION ALL (SELECT l.kind, l.xid::text::bigint, l.op::text, l.fields, (extract(epoch FROM l.at) * 1000)::bigint
            FROM {schema}.log l WHERE NOT l.loaded AND l.xid = ANY (seen_not::xid8[]) ORDER BY l.xid LIMIT max_rows + 1);
END $poll$;
