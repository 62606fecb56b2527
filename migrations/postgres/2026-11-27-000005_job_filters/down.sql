DROP INDEX jobs_troubled;
DROP INDEX jobs_by_kind;
