-- What became of a host's backups, day by day: read for 25 hosts at once without touching the jobs themselves.
CREATE INDEX jobs_by_host_and_kind ON jobs (host_id, kind, queued_at, state);
-- How many jobs run, on every page: SQLite would rather walk the whole of the index above than look at the few jobs that are open.
CREATE INDEX jobs_open_by_state ON jobs (state) WHERE state IN ('queued', 'dispatched', 'running');
