-- A dump that is restored into another server brings rows of transactions whose numbers that server has yet to give. Until then nothing that they
-- name could be cached, and every poll would read all of them again. Nobody needs them: whatever is read in the new history contains them.
CREATE OR REPLACE FUNCTION {schema}.new_epoch() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $epoch$
BEGIN
    -- Rows are deleted below the floor alone. So high it is seen by nobody: in the end it is what this transaction has.
    UPDATE {schema}.log_state SET epoch = gen_random_uuid(), trimmed_below = '9223372036854775807', incarnation = {schema}.incarnation();
    DELETE FROM {schema}.log;
    DELETE FROM {schema}.log_marks;
    UPDATE {schema}.log_state SET trimmed_below = pg_current_xact_id();
END $epoch$;
