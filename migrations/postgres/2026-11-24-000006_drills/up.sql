-- Drills by plan, and what they have proven.
ALTER TABLE schedules ADD COLUMN drill TEXT;
-- How far each schedule's plan was followed, and when its backups were last proven.
CREATE TABLE drill_states (
    schedule_id TEXT PRIMARY KEY NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    followed_until BIGINT NOT NULL,
    proven_at BIGINT,
    proven_snapshot_id TEXT,
    last_job_id TEXT,
    note TEXT
);
-- Each drill that ended. It outlives its schedule and its repository, so that the report stays whole.
CREATE TABLE drills (
    job_id TEXT PRIMARY KEY NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    schedule_id TEXT REFERENCES schedules (id) ON DELETE SET NULL,
    repository_id TEXT REFERENCES repositories (id) ON DELETE SET NULL,
    at BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX drills_by_time ON drills (at, job_id);
CREATE INDEX drills_by_host ON drills (host_id, at, job_id);
CREATE INDEX drills_by_schedule ON drills (schedule_id, at, job_id);
CREATE INDEX drills_by_repository ON drills (repository_id);
-- The newest evidence of each file. The key is a hash of its path: paths may be longer than an index takes.
CREATE TABLE drilled_files (
    schedule_id TEXT NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    path_key TEXT NOT NULL,
    file TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    failed BOOLEAN NOT NULL,
    drilled_at BIGINT NOT NULL,
    proven_at BIGINT,
    PRIMARY KEY (schedule_id, path_key)
);
CREATE INDEX drilled_files_by_age ON drilled_files (schedule_id, failed, drilled_at);
