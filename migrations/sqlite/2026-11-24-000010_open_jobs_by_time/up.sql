-- A database takes an index of the open jobs only where it also gives the order that is asked for: else it would go by the index of all
-- jobs, which has two million entries in a large fleet. Of two that serve alike SQLite takes the younger.
DROP INDEX jobs_by_repository;
CREATE INDEX jobs_by_repository ON jobs (repository_id, queued_at, id);
DROP INDEX jobs_by_repository_and_kind;
CREATE INDEX jobs_by_repository_and_kind ON jobs (repository_id, kind, queued_at, id);
DROP INDEX jobs_open;
CREATE INDEX jobs_open ON jobs (host_id, queued_at, id) WHERE state IN ('queued', 'dispatched', 'running');
DROP INDEX jobs_open_of_repository;
CREATE INDEX jobs_open_of_repository ON jobs (repository_id, queued_at, id) WHERE state IN ('queued', 'dispatched', 'running');
CREATE INDEX jobs_open_by_time ON jobs (queued_at, id) WHERE state IN ('queued', 'dispatched', 'running');
CREATE INDEX jobs_by_place ON jobs (repository_id, place) WHERE started_at IS NOT NULL;
