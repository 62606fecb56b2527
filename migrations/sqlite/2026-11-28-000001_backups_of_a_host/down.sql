DROP INDEX jobs_open_by_state;
DROP INDEX jobs_by_host_and_kind;
