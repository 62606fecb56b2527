DROP INDEX jobs_by_host_and_kind;
