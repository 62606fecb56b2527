-- Signed releases of the agent. The binaries are files; a row without file_at still waits for its own.
CREATE TABLE releases (
    version TEXT NOT NULL,
    target TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    signed TEXT NOT NULL,
    notes TEXT NOT NULL,
    uploaded_by TEXT NOT NULL,
    uploaded_at BIGINT NOT NULL,
    file_at BIGINT,
    withdrawn_at BIGINT,
    PRIMARY KEY (version, target)
);
-- Roll-outs; the newest one counts.
CREATE TABLE rollouts (
    id TEXT PRIMARY KEY NOT NULL,
    version TEXT NOT NULL,
    previous TEXT,
    stages TEXT NOT NULL,
    stage INTEGER NOT NULL,
    stage_since BIGINT NOT NULL,
    state TEXT NOT NULL,
    note TEXT,
    started_by TEXT NOT NULL,
    started_at BIGINT NOT NULL
);
-- What each agent said of itself last, and since when it runs its version.
CREATE TABLE host_agents (
    host_id TEXT PRIMARY KEY NOT NULL REFERENCES hosts (id) ON DELETE CASCADE,
    version TEXT NOT NULL,
    since BIGINT NOT NULL,
    fact TEXT,
    failed_version TEXT,
    failed_error TEXT,
    failed_at BIGINT,
    forgiven_at BIGINT
);
CREATE INDEX host_agents_failed ON host_agents (failed_version, failed_at) WHERE failed_version IS NOT NULL;
