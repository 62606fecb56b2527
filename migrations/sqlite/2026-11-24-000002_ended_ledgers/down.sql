ALTER TABLE schedule_ledgers DROP COLUMN ended;
