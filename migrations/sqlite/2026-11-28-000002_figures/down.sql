DROP INDEX host_credentials_by_proof;
DROP INDEX hosts_by_standing;
DROP INDEX jobs_open_by_state;
DROP INDEX jobs_by_host_and_kind;
