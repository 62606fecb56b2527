-- When each schedule runs next, so that nobody reads cron lines to say what comes next. The server fills it in with each judgement of a host.
CREATE TABLE next_runs (
    schedule_id TEXT PRIMARY KEY NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    at BIGINT NOT NULL
);
CREATE INDEX next_runs_by_time ON next_runs (at, schedule_id);
CREATE INDEX next_runs_by_host ON next_runs (host_id, at);
UPDATE hosts SET judged_at = NULL;
-- Which job failed last, and why, so that failing hosts can be told by their cause.
ALTER TABLE schedule_tracks ADD COLUMN last_job_id TEXT;
ALTER TABLE schedule_tracks ADD COLUMN cause TEXT;
UPDATE schedule_tracks SET last_job_id = (
    SELECT j.id FROM jobs j WHERE j.schedule_id = schedule_tracks.schedule_id AND j.kind = 'backup' AND j.state = schedule_tracks.last_end
        AND COALESCE(j.started_at, j.queued_at) = schedule_tracks.run_at
    ORDER BY j.id DESC LIMIT 1) WHERE last_end IN ('failed', 'lost');
UPDATE schedule_tracks SET cause = (SELECT (j.result::json -> 'cause' ->> 'code') FROM jobs j WHERE j.id = schedule_tracks.last_job_id)
    WHERE last_job_id IS NOT NULL;
-- How large each place is, and how fast it grows, without reading its history.
CREATE TABLE place_sizes (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    place TEXT NOT NULL,
    at BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    growth_per_day BIGINT,
    PRIMARY KEY (repository_id, place)
);
INSERT INTO place_sizes (repository_id, place, at, bytes)
    SELECT s.repository_id, s.place, s.at, CAST((s.sample::json ->> 'raw_size') AS BIGINT) FROM repository_samples s
    WHERE s.at = (SELECT MAX(n.at) FROM repository_samples n WHERE n.repository_id = s.repository_id AND n.place = s.place);
-- What the last probe of a credential said, to be counted.
ALTER TABLE host_credentials ADD COLUMN proof_verdict TEXT;
UPDATE host_credentials SET proof_verdict = (proof::json ->> 'can_delete') WHERE proof IS NOT NULL;
-- The snapshots of all repositories, newest first.
CREATE INDEX snapshots_by_time ON snapshots (time, snapshot_id) WHERE gone_at IS NULL;
