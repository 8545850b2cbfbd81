-- Which views there are, and how old each one is. A reader joins a view's row here with the row that it looks for, in one statement; so
-- what is here belongs to exactly the content that the statement sees.
CREATE TABLE {schema}.views (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL,
    -- Another definition under the same name is another version, beside the old one, which instances of another release still use.
    version      integer NOT NULL,
    definition   text NOT NULL,
    relation     text NOT NULL UNIQUE,
    -- Every change of a transaction below this is in the view. NULL until it was refreshed once.
    as_of        xid8,
    -- Whose history `as_of` belongs to.
    identity     bytea CHECK (octet_length(identity) = 16),
    refreshed_at timestamptz,
    UNIQUE (name, version),
    CHECK ((as_of IS NULL) = (identity IS NULL) AND (as_of IS NULL) = (refreshed_at IS NULL))
) WITH (fillfactor = 50);

-- When somebody last said that it uses a version. Apart from the views, whose rows a refresh holds for as long as it runs. A version that
-- nobody uses any more is dropped.
CREATE TABLE {schema}.view_uses (
    view   integer PRIMARY KEY,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
