-- A condition of a trigger is read anew by every statement, which cost each commit of ours as much as the row of the log itself. So the functions
-- that write for others wake everybody; a row that somebody inserts by hand is found by the next poll.
DROP TRIGGER log_wakes ON {schema}.log;
DROP FUNCTION {schema}.log_wakes();

-- Wakes whoever follows, with the commit, unless this session does so after it. The same notification is sent once for each transaction.
CREATE FUNCTION {schema}.wake() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $wake$
BEGIN
    IF current_setting('tiergate.writer', true) IS DISTINCT FROM 'on' THEN
        PERFORM {schema}.notify_inside();
    END IF;
END $wake$;

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
    -- History is for nobody who follows.
    IF NOT bulk THEN
        PERFORM {schema}.wake();
    END IF;
END $otherwise$;

CREATE OR REPLACE FUNCTION {schema}.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $truncate$
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', ARRAY['truncated', TG_RELID::regclass::text]);
    PERFORM {schema}.wake();
    RETURN NULL;
END $truncate$;

CREATE OR REPLACE FUNCTION {schema}.begin_bulk(coarse_kind text DEFAULT 'all', coarse_fields text[] DEFAULT '{}', keep_history boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $bulk$
DECLARE
    place tid;
BEGIN
    INSERT INTO {schema}.log (kind, op, fields) VALUES (coarse_kind, '*', coarse_fields) RETURNING ctid INTO place;
    -- Before the setting takes the place of the mark.
    PERFORM {schema}.wake();
    PERFORM set_config('tiergate.writer', format('%s %s', place, CASE WHEN keep_history THEN 'history' ELSE 'quiet' END), true);
END $bulk$;
