DROP INDEX snapshots_by_time;
ALTER TABLE host_credentials DROP COLUMN proof_verdict;
DROP TABLE place_sizes;
ALTER TABLE schedule_tracks DROP COLUMN cause;
ALTER TABLE schedule_tracks DROP COLUMN last_job_id;
DROP TABLE next_runs;
