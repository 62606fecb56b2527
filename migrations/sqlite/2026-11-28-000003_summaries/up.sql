-- When a channel has its daily summary, and when the next one is due; what each of them said.
ALTER TABLE channels ADD COLUMN summary TEXT;
ALTER TABLE channels ADD COLUMN summary_due BIGINT;
ALTER TABLE deliveries ADD COLUMN summary TEXT;
CREATE INDEX deliveries_summaries ON deliveries (channel_id, created_at) WHERE what = 'summary';
-- What a backup added to its repository, so that a day is summed up without reading results. Only the last week is asked for.
ALTER TABLE jobs ADD COLUMN added_bytes BIGINT;
UPDATE jobs SET added_bytes = CAST(COALESCE(json_extract(result, '$.summary.data_added_packed'), json_extract(result, '$.summary.data_added')) AS BIGINT)
WHERE finished_at >= (SELECT MAX(finished_at) FROM jobs WHERE finished_at IS NOT NULL) - 604800000000 AND json_valid(result);
