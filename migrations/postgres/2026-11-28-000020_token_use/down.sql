ALTER TABLE api_tokens DROP COLUMN last_used_from;
ALTER TABLE api_tokens DROP COLUMN last_used_at;
ALTER TABLE api_tokens DROP COLUMN prefix;
