DROP INDEX host_credentials_by_proof;
DROP INDEX hosts_by_standing;
DROP INDEX jobs_open_by_time;
CREATE INDEX jobs_open_by_time ON jobs (queued_at, id) WHERE state IN ('queued', 'dispatched', 'running');
DROP INDEX jobs_by_host_and_kind;
