-- What became of a host's backups, day by day: read for 25 hosts at once without touching the jobs themselves.
CREATE INDEX jobs_by_host_and_kind ON jobs (host_id, kind, queued_at, state);
