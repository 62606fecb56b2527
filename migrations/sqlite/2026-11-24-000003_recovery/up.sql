-- That a recovery kit was made, and of what; never what is in it.
CREATE TABLE recovery_kits (
    repository_id TEXT PRIMARY KEY NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    basis TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    made_by TEXT NOT NULL
);
