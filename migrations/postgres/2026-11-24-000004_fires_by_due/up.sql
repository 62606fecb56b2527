-- A fire is known by when it was due: when it came may be told by a clock that was wrong.
CREATE INDEX jobs_by_due ON jobs (schedule_id, due_at) WHERE due_at IS NOT NULL;
