ALTER TABLE jobs DROP COLUMN added_bytes;
DROP INDEX deliveries_summaries;
DELETE FROM deliveries WHERE what = 'summary';
ALTER TABLE deliveries DROP COLUMN summary;
ALTER TABLE channels DROP COLUMN summary_due;
ALTER TABLE channels DROP COLUMN summary;
