-- Readers of the history go by the numbers of transactions. A dump that is restored into another server brings rows with numbers that this one has
-- yet to give: they would stay hidden until then, and be told after newer ones. So with another history all that is there is past.
CREATE FUNCTION {schema}.changes_are_past() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now bigint := pg_current_xact_id()::text::bigint;
BEGIN
    PERFORM set_config('tiergate.bulk', now::text, true);
    UPDATE {schema}.changes SET xid = now WHERE xid > now;
    PERFORM set_config('tiergate.bulk', '', true);
    RETURN NULL;
END $$;

CREATE TRIGGER changes_are_past AFTER UPDATE OF epoch ON {schema}.log_state FOR EACH ROW
WHEN (OLD.epoch <> NEW.epoch) EXECUTE FUNCTION {schema}.changes_are_past();
ALTER TABLE {schema}.log_state ENABLE ALWAYS TRIGGER changes_are_past;
