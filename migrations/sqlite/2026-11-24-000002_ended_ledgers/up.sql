-- Whether the host follows the schedule no longer: nothing is owed after `until` before it begins anew.
ALTER TABLE schedule_ledgers ADD COLUMN ended BOOLEAN NOT NULL DEFAULT FALSE;
