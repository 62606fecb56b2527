-- The list of jobs narrowed to a kind, or to what did not simply succeed: both are rare among millions.
CREATE INDEX jobs_by_kind ON jobs (kind, queued_at, id);
CREATE INDEX jobs_troubled ON jobs (queued_at, id) WHERE state IN ('failed', 'lost', 'missed', 'warning', 'cancelled', 'skipped');
