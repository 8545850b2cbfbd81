-- What would keep a change of these tables from the log is refused for everybody, where the guard of the log is installed. A later step that
-- changes one of these triggers calls unguard_table before and guard_table after. The history in `changes` is nothing that anybody caches.
SELECT {schema}.guard_table('{schema}.stores', ARRAY['stores_go', 'stores_keep_their_id', 'stores_changed', 'stores_are_kept']),
       {schema}.guard_table('{schema}.models', ARRAY['models_written', 'models_changed', 'models_truncated']),
       {schema}.guard_table('{schema}.tuples', ARRAY['tuples_changed', 'tuples_truncated']),
       {schema}.guard_table('{schema}.properties', ARRAY['properties_changed', 'properties_truncated']);
