-- Who follows the log and answers from what it has cached. Whoever acknowledges a change waits until every member has applied it, or may use
-- nothing cached any more. Logged tables: a member that a crash forgot would be acknowledged past.
CREATE TABLE {schema}.members (
    -- Drawn anew at each start, and after each fencing.
    incarnation uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    name text NOT NULL,
    -- Counts renewals. A judge that has seen it unchanged for longer than the lease fences, by this very number.
    counter bigint NOT NULL DEFAULT 0,
    lease_ms bigint NOT NULL CHECK (lease_ms > 0),
    fenced boolean NOT NULL DEFAULT false,
    -- For people.
    joined_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    renewed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What each has applied. A table of its own: a report need not wait for the flush of a renewal.
CREATE TABLE {schema}.positions (
    incarnation uuid PRIMARY KEY REFERENCES {schema}.members ON DELETE CASCADE,
    seen text,
    -- The life of the server in which that snapshot was taken: after a crash numbers are given again.
    seen_in text
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The histories that anybody has followed. In one that lost commits, members may be missing who still hold a lease: so nothing is acknowledged in
-- it until every lease from before is over. Nobody was there before the first one.
CREATE TABLE {schema}.histories (
    identity text PRIMARY KEY,
    first_seen timestamptz NOT NULL
);

-- Makes the commit of the transaction that calls it wait for the disk, where the server would not. True always, for use in a condition.
CREATE FUNCTION {schema}.durably() RETURNS boolean LANGUAGE plpgsql AS $durably$
BEGIN
    IF pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off' THEN
        PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
    END IF;
    RETURN true;
END $durably$;

-- The identity as one text.
CREATE FUNCTION {schema}.history() RETURNS text LANGUAGE sql STABLE
    RETURN pg_catalog.array_to_string({schema}.identity(), '/');

-- A new member, which has applied nothing yet.
CREATE FUNCTION {schema}.join_members(member_name text, member_lease_ms bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $join$
DECLARE
    joined uuid;
BEGIN
    PERFORM {schema}.durably();
    INSERT INTO {schema}.histories (identity, first_seen)
        SELECT {schema}.history(), CASE WHEN EXISTS (SELECT FROM {schema}.histories) THEN clock_timestamp() ELSE '-infinity' END
        ON CONFLICT DO NOTHING;
    INSERT INTO {schema}.members (name, lease_ms) VALUES (member_name, member_lease_ms) RETURNING incarnation INTO joined;
    INSERT INTO {schema}.positions (incarnation) VALUES (joined);
    -- Those that were fenced long ago: their holders can't renew, whether they are alive or not.
    DELETE FROM {schema}.members WHERE fenced AND renewed_at < clock_timestamp() - interval '1 hour';
    RETURN joined::text;
END $join$;
