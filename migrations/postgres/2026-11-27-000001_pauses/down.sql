ALTER TABLE schedules DROP COLUMN pauses;
ALTER TABLE hosts DROP COLUMN pauses;
