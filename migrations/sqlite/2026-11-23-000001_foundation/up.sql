-- Times are microseconds since 1970 in UTC; ids and enums are text; lists and objects are JSON text.
CREATE TABLE settings (
    key TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    disabled BOOLEAN NOT NULL DEFAULT FALSE,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE TABLE repositories (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    backend TEXT NOT NULL,
    init_if_missing BOOLEAN NOT NULL DEFAULT FALSE,
    password_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE TABLE hosts (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    lifecycle TEXT NOT NULL,
    hostname TEXT NOT NULL DEFAULT '',
    os TEXT,
    os_version TEXT NOT NULL DEFAULT '',
    arch TEXT NOT NULL DEFAULT '',
    timezone TEXT,
    agent_version TEXT NOT NULL DEFAULT '',
    restic_version TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    signing_key TEXT UNIQUE,
    sealing_key TEXT,
    schedule_version BIGINT NOT NULL DEFAULT 1,
    held_version BIGINT NOT NULL DEFAULT 0,
    last_seen_at BIGINT,
    created_at BIGINT NOT NULL,
    enrolled_at BIGINT,
    retired_at BIGINT
);
CREATE TABLE enrollment_tokens (
    id TEXT PRIMARY KEY NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    named BOOLEAN NOT NULL,
    initial_paths TEXT NOT NULL,
    repository_id TEXT REFERENCES repositories (id) ON DELETE SET NULL,
    credential_sealed TEXT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX enrollment_tokens_by_host ON enrollment_tokens (host_id);
CREATE INDEX enrollment_tokens_by_repository ON enrollment_tokens (repository_id);
CREATE TABLE host_credentials (
    id TEXT PRIMARY KEY NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    mode TEXT NOT NULL,
    secrets_sealed TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (host_id, repository_id)
);
CREATE INDEX host_credentials_by_repository ON host_credentials (repository_id);
CREATE TABLE schedules (
    id TEXT PRIMARY KEY NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    repository_id TEXT REFERENCES repositories (id) ON DELETE RESTRICT,
    name TEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    manual BOOLEAN NOT NULL,
    cron TEXT,
    timezone TEXT,
    backup TEXT NOT NULL,
    retention TEXT NOT NULL,
    firing TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (host_id, name)
);
CREATE INDEX schedules_by_repository ON schedules (repository_id);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    schedule_id TEXT REFERENCES schedules (id) ON DELETE SET NULL,
    repository_id TEXT REFERENCES repositories (id) ON DELETE SET NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    state_version BIGINT NOT NULL,
    task TEXT,
    requested_by TEXT NOT NULL,
    idempotency_key TEXT UNIQUE,
    due_at BIGINT,
    stands_for TEXT,
    queued_at BIGINT NOT NULL,
    dispatched_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    lease_until BIGINT,
    cancel_requested_at BIGINT,
    chunk_seq BIGINT NOT NULL DEFAULT 0,
    event_seq BIGINT NOT NULL DEFAULT 1,
    progress TEXT,
    result TEXT
);
CREATE INDEX jobs_by_host ON jobs (host_id, queued_at, id);
CREATE INDEX jobs_by_time ON jobs (queued_at, id);
CREATE INDEX jobs_by_schedule ON jobs (schedule_id, queued_at, id);
CREATE INDEX jobs_by_repository ON jobs (repository_id);
CREATE INDEX jobs_open ON jobs (host_id, state) WHERE state IN ('queued', 'dispatched', 'running');
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE TABLE schedule_ledgers (
    schedule_id TEXT PRIMARY KEY NOT NULL REFERENCES schedules (id) ON DELETE CASCADE,
    cron TEXT NOT NULL,
    timezone TEXT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE TABLE job_log (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq BIGINT NOT NULL,
    lines TEXT NOT NULL,
    PRIMARY KEY (job_id, seq)
);
CREATE TABLE snapshots (
    repository_id TEXT NOT NULL REFERENCES repositories (id) ON DELETE CASCADE,
    snapshot_id TEXT NOT NULL,
    host_id TEXT NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    schedule_id TEXT REFERENCES schedules (id) ON DELETE SET NULL,
    job_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    time BIGINT NOT NULL,
    record TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (repository_id, snapshot_id)
);
CREATE INDEX snapshots_by_host ON snapshots (host_id, time, snapshot_id);
CREATE INDEX snapshots_by_schedule ON snapshots (schedule_id);
CREATE INDEX snapshots_by_job ON snapshots (job_id);
CREATE TABLE audit_events (
    seq BIGINT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
