DROP TABLE drilled_files;
DROP TABLE drills;
DROP TABLE drill_states;
ALTER TABLE schedules DROP COLUMN drill;
