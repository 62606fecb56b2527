-- What became of a host's backups, day by day: read for 25 hosts at once without touching the jobs themselves.
CREATE INDEX jobs_by_host_and_kind ON jobs (host_id, kind, queued_at, state);
-- How many jobs run, on every page: SQLite would rather walk the whole of the index above than look at the few jobs that are open.
CREATE INDEX jobs_open_by_state ON jobs (state) WHERE state IN ('queued', 'dispatched', 'running');
-- How hosts stand, counted and sorted without reading what else is known of them.
CREATE INDEX hosts_by_standing ON hosts (lifecycle, planned, protected_until, trouble, name, id);
-- What is proven of credentials, counted without their secrets.
CREATE INDEX host_credentials_by_proof ON host_credentials (repository_id, mode, proof_verdict, proof_at, host_id);
