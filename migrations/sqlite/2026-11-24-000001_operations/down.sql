DROP TABLE alerts;
DROP TABLE repository_chores;
DROP TABLE repository_locks;
DROP TABLE repository_samples;
CREATE TABLE snapshots_old (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    snapshot_id TEXT NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    schedule_id TEXT REFERENCES schedules (id) ON DELETE SET NULL,
    job_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    time BIGINT NOT NULL,
    record TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (repository_id, snapshot_id)
);
INSERT INTO snapshots_old SELECT repository_id, snapshot_id, host_id, schedule_id, job_id, time, record, first_seen_at, gone_at
    FROM snapshots WHERE host_id IS NOT NULL;
DROP TABLE snapshots;
ALTER TABLE snapshots_old RENAME TO snapshots;
CREATE INDEX snapshots_by_host ON snapshots (host_id, time, snapshot_id);
CREATE INDEX snapshots_by_schedule ON snapshots (schedule_id);
CREATE INDEX snapshots_by_job ON snapshots (job_id);
DROP INDEX jobs_by_repository_and_kind;
DROP INDEX jobs_open_of_repository;
DROP INDEX jobs_one_chore;
ALTER TABLE jobs DROP COLUMN pids;
ALTER TABLE jobs DROP COLUMN outcome;
ALTER TABLE jobs DROP COLUMN secrets_sealed;
ALTER TABLE jobs DROP COLUMN chore;
ALTER TABLE jobs DROP COLUMN priority;
ALTER TABLE jobs DROP COLUMN place;
ALTER TABLE hosts DROP COLUMN hooks;
ALTER TABLE hosts DROP COLUMN frozen;
ALTER TABLE host_credentials DROP COLUMN proof_at;
ALTER TABLE host_credentials DROP COLUMN proof;
ALTER TABLE host_credentials DROP COLUMN url;
DROP INDEX repositories_by_maintenance_host;
ALTER TABLE repositories DROP COLUMN pending_password_sealed;
ALTER TABLE repositories DROP COLUMN rotation;
ALTER TABLE repositories DROP COLUMN ca_pem;
ALTER TABLE repositories DROP COLUMN quota_bytes;
ALTER TABLE repositories DROP COLUMN plan;
ALTER TABLE repositories DROP COLUMN maintenance_host_id;
