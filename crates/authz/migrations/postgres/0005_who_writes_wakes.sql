-- Whoever writes into the log for others wakes everybody: its table no longer does.
CREATE OR REPLACE FUNCTION {schema}.replace_store(store text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place tid;
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('replaced', ARRAY[store]) RETURNING ctid INTO place;
    PERFORM {schema}.wake();
    PERFORM set_config('tiergate.coarse', place::text || ' ' || store, true);
END $$;

-- As before, and whoever is told alone, and so by a row of the log that comes next, wakes as well.
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
    PERFORM set_config('tiergate.told', (told + 1)::text, true), {schema}.wake();
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION {schema}.models_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO {schema}.log (kind, fields) VALUES ('model', ARRAY[NEW.store]);
    ELSE
        INSERT INTO {schema}.log (kind, fields) VALUES ('replaced', ARRAY[OLD.store]);
    END IF;
    PERFORM {schema}.wake();
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION {schema}.truncated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO {schema}.log (kind, fields) VALUES ('all', '{}');
    PERFORM {schema}.wake();
    RETURN NULL;
END $$;
