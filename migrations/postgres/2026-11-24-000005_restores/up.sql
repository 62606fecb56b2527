-- Restores that somebody is putting together, or has started.
CREATE TABLE restores (
    id TEXT PRIMARY KEY NOT NULL,
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    snapshot_id TEXT NOT NULL,
    created_by TEXT NOT NULL,
    draft TEXT NOT NULL,
    preview_job_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    job_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX restores_by_repository ON restores (repository_id);
CREATE INDEX restores_by_person ON restores (created_by, updated_at);
CREATE INDEX restores_by_preview ON restores (preview_job_id);
CREATE INDEX restores_by_job ON restores (job_id);
