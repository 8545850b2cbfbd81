-- That no history is known says that nobody was there before only in a cluster that has never failed over: the replica that took over may have lost
-- whoever joined, with the rows that tell of it. A promotion begins another timeline, and the first one is that of a cluster which has seen none.
CREATE OR REPLACE FUNCTION {schema}.join_members(member_name text, member_lease_ms bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $join$
DECLARE
    joined uuid;
BEGIN
    PERFORM {schema}.durably();
    INSERT INTO {schema}.histories (identity, first_seen)
        SELECT {schema}.history(), CASE
            WHEN EXISTS (SELECT FROM {schema}.histories) OR ({schema}.identity())[1] <> '00000001' THEN clock_timestamp()
            ELSE '-infinity' END
        ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.members (name, lease_ms) VALUES (member_name, member_lease_ms) RETURNING incarnation INTO joined;
    INSERT INTO {schema}.positions (incarnation) VALUES (joined);
    -- Those that were fenced long ago: their holders can't renew, whether they are alive or not.
    DELETE FROM {schema}.members WHERE fenced AND renewed_at < clock_timestamp() - interval '1 hour';
    RETURN joined::text;
END $join$;
