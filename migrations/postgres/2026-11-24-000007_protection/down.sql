DROP INDEX jobs_by_end;
ALTER TABLE hosts DROP COLUMN judged_at;
ALTER TABLE hosts DROP COLUMN trouble;
ALTER TABLE hosts DROP COLUMN protected_until;
ALTER TABLE hosts DROP COLUMN good_bytes;
ALTER TABLE hosts DROP COLUMN good_at;
ALTER TABLE hosts DROP COLUMN planned;
DROP TABLE schedule_tracks;
