-- Operations: maintenance, retention, locks, health, attested snapshots.
-- A "place" is one restic repository: where the address holds {host} each host has its own, named by the host's id; else there is one, ''.
ALTER TABLE repositories ADD COLUMN maintenance_host_id TEXT REFERENCES hosts (id) ON DELETE SET NULL;
ALTER TABLE repositories ADD COLUMN plan TEXT NOT NULL DEFAULT '{}';
ALTER TABLE repositories ADD COLUMN quota_bytes BIGINT;
ALTER TABLE repositories ADD COLUMN ca_pem TEXT;
ALTER TABLE repositories ADD COLUMN rotation TEXT;
ALTER TABLE repositories ADD COLUMN pending_password_sealed TEXT;
CREATE INDEX repositories_by_maintenance_host ON repositories (maintenance_host_id);
ALTER TABLE host_credentials ADD COLUMN url TEXT;
ALTER TABLE host_credentials ADD COLUMN proof TEXT;
ALTER TABLE host_credentials ADD COLUMN proof_at BIGINT;
ALTER TABLE hosts ADD COLUMN frozen TEXT;
ALTER TABLE hosts ADD COLUMN hooks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE jobs ADD COLUMN place TEXT NOT NULL DEFAULT '';
UPDATE jobs SET place = host_id WHERE repository_id IN (SELECT id FROM repositories WHERE url LIKE '%{host}%');
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN chore TEXT;
ALTER TABLE jobs ADD COLUMN secrets_sealed TEXT;
ALTER TABLE jobs ADD COLUMN outcome TEXT;
ALTER TABLE jobs ADD COLUMN pids TEXT;
-- One pending chore of a kind for a repository, however often it was due.
CREATE UNIQUE INDEX jobs_one_chore ON jobs (repository_id, place, chore)
    WHERE chore IS NOT NULL AND state IN ('queued', 'dispatched', 'running');
CREATE INDEX jobs_open_of_repository ON jobs (repository_id, state) WHERE state IN ('queued', 'dispatched', 'running');
CREATE INDEX jobs_by_repository_and_kind ON jobs (repository_id, kind, queued_at);
-- A snapshot that was made outside belongs to no host that is known here.
ALTER TABLE snapshots ALTER COLUMN host_id DROP NOT NULL;
ALTER TABLE snapshots DROP CONSTRAINT snapshots_host_id_fkey;
ALTER TABLE snapshots ADD CONSTRAINT snapshots_host_id_fkey FOREIGN KEY (host_id) REFERENCES hosts (id) ON DELETE SET NULL;
ALTER TABLE snapshots ADD COLUMN place TEXT NOT NULL DEFAULT '';
UPDATE snapshots SET place = host_id WHERE repository_id IN (SELECT id FROM repositories WHERE url LIKE '%{host}%');
ALTER TABLE snapshots ADD COLUMN attested BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE snapshots ADD COLUMN listed_by TEXT;
UPDATE snapshots SET attested = TRUE WHERE job_id IS NOT NULL;
DROP INDEX snapshots_by_schedule;
CREATE INDEX snapshots_by_schedule ON snapshots (schedule_id, time, snapshot_id);
CREATE INDEX snapshots_by_repository ON snapshots (repository_id, time, snapshot_id);
CREATE INDEX snapshots_by_place ON snapshots (repository_id, place, attested) WHERE gone_at IS NULL;
CREATE TABLE repository_samples (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    place TEXT NOT NULL,
    at BIGINT NOT NULL,
    sample TEXT NOT NULL,
    PRIMARY KEY (repository_id, place, at)
);
CREATE TABLE repository_locks (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    place TEXT NOT NULL,
    lock_id TEXT NOT NULL,
    record TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (repository_id, place, lock_id)
);
CREATE TABLE repository_chores (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    place TEXT NOT NULL,
    chore TEXT NOT NULL,
    followed_until BIGINT,
    asked_by TEXT,
    last_job_id TEXT,
    last_state TEXT,
    last_done_at BIGINT,
    last_success_at BIGINT,
    cycle TEXT,
    note TEXT,
    PRIMARY KEY (repository_id, place, chore)
);
CREATE TABLE alerts (
    id TEXT PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    severity TEXT NOT NULL,
    detail TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    acknowledged_at BIGINT,
    acknowledged_by TEXT,
    resolved_at BIGINT
);
CREATE UNIQUE INDEX alerts_open ON alerts (kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX alerts_by_time ON alerts (opened_at, id);
