-- For whoever trims: rows that polls read are found by log_xid, and those of the history alone, which no poll reads, by this. Writers of the former
-- pay for a look at a boolean.
CREATE INDEX log_loaded_xid ON {schema}.log (xid) WHERE loaded;
