-- Where people are told of alerts, and each message that goes there.
CREATE TABLE channels (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    settings TEXT NOT NULL,
    secrets_sealed TEXT,
    enabled BOOLEAN NOT NULL,
    rules TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX channels_by_name ON channels (name);
-- One row for each piece of news and each channel that is to have it. Rows that go out in one message have the same batch.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY NOT NULL,
    channel_id TEXT NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
    alert_id TEXT REFERENCES alerts (id) ON DELETE CASCADE,
    what TEXT NOT NULL,
    round BIGINT NOT NULL,
    state TEXT NOT NULL,
    batch TEXT,
    attempts INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_error TEXT,
    sent_at BIGINT,
    digest TEXT
);
-- No channel is told the same of an alert twice.
CREATE UNIQUE INDEX deliveries_once ON deliveries (alert_id, channel_id, what, round);
CREATE INDEX deliveries_waiting ON deliveries (channel_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_channel ON deliveries (channel_id, created_at, id);
CREATE INDEX deliveries_by_batch ON deliveries (batch);
-- Why an alert is known to somebody, and until when it is quiet for that.
ALTER TABLE alerts ADD COLUMN acknowledged_reason TEXT;
ALTER TABLE alerts ADD COLUMN acknowledged_until BIGINT;
