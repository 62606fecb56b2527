-- Who asked for a job to stop.
ALTER TABLE jobs ADD COLUMN cancel_requested_by TEXT;
