ALTER TABLE alerts DROP COLUMN acknowledged_until;
ALTER TABLE alerts DROP COLUMN acknowledged_reason;
DROP TABLE deliveries;
DROP TABLE channels;
