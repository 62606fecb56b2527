DROP INDEX jobs_by_due;
