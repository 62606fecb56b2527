-- What each schedule's backups came to, so that nobody counts jobs to say what is protected.
CREATE TABLE schedule_tracks (
    schedule_id TEXT PRIMARY KEY NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    run_at BIGINT NOT NULL,
    last_end TEXT NOT NULL,
    good_at BIGINT,
    good_bytes BIGINT
);
INSERT INTO schedule_tracks (schedule_id, run_at, last_end)
    SELECT j.schedule_id, MAX(COALESCE(j.started_at, j.queued_at)), 'succeeded' FROM jobs j
    WHERE j.schedule_id IS NOT NULL AND j.kind = 'backup' AND j.task NOT LIKE '%"dry_run":true%' AND j.state IN ('succeeded', 'warning', 'failed', 'lost')
    GROUP BY j.schedule_id;
UPDATE schedule_tracks SET last_end = (
    SELECT j.state FROM jobs j WHERE j.schedule_id = schedule_tracks.schedule_id AND j.kind = 'backup' AND j.task NOT LIKE '%"dry_run":true%'
        AND j.state IN ('succeeded', 'warning', 'failed', 'lost') AND COALESCE(j.started_at, j.queued_at) = schedule_tracks.run_at
    ORDER BY j.id DESC LIMIT 1);
UPDATE schedule_tracks SET good_at = (
    SELECT MAX(COALESCE(j.started_at, j.queued_at)) FROM jobs j WHERE j.schedule_id = schedule_tracks.schedule_id
        AND j.kind = 'backup' AND j.task NOT LIKE '%"dry_run":true%' AND j.state IN ('succeeded', 'warning'));
UPDATE schedule_tracks SET good_bytes = (
    SELECT ((j.result::json -> 'summary') ->> 'total_bytes_processed')::BIGINT FROM jobs j WHERE j.schedule_id = schedule_tracks.schedule_id AND j.kind = 'backup' AND j.task NOT LIKE '%"dry_run":true%'
        AND j.state IN ('succeeded', 'warning') AND COALESCE(j.started_at, j.queued_at) = schedule_tracks.good_at
    ORDER BY j.id DESC LIMIT 1);
-- The same by host, with until when it is protected. That takes cron lines, so the server fills it in where judged_at is empty.
ALTER TABLE hosts ADD COLUMN planned BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE hosts ADD COLUMN good_at BIGINT;
ALTER TABLE hosts ADD COLUMN good_bytes BIGINT;
ALTER TABLE hosts ADD COLUMN protected_until BIGINT;
ALTER TABLE hosts ADD COLUMN trouble TEXT NOT NULL DEFAULT 'none';
ALTER TABLE hosts ADD COLUMN judged_at BIGINT;
-- The last day in figures, without looking at the jobs themselves. Not of open jobs: they have an index of their own.
CREATE INDEX jobs_by_end ON jobs (finished_at, state) WHERE finished_at IS NOT NULL;
