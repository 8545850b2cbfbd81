-- Whoever does not wake the others after the commit wakes them with it, by whichever way the row came into the log. That was so for attached tables
-- alone. Once for each transaction: the same notification is sent once. The `loaded` rows are history, which nobody polls.
CREATE FUNCTION {schema}.log_wakes() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $wakes$
BEGIN
    PERFORM {schema}.notify_inside();
    RETURN NULL;
END $wakes$;

CREATE TRIGGER log_wakes AFTER INSERT ON {schema}.log FOR EACH ROW
    WHEN (NOT NEW.loaded AND pg_catalog.current_setting('tiergate.writer', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION {schema}.log_wakes();
ALTER TABLE {schema}.log ENABLE ALWAYS TRIGGER log_wakes;

-- As before, without a notification of its own.
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
END $otherwise$;

CREATE OR REPLACE FUNCTION {schema}.log_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $truncate$
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', ARRAY['truncated', TG_RELID::regclass::text]);
    RETURN NULL;
END $truncate$;
