-- Times in which a host, or one schedule, does not fire by itself: the one that holds now, and those that were. What fell into one that
-- is over is still owed by nobody when its agent tells of that time, however late. A list, because there are few and all are needed at once.
ALTER TABLE hosts ADD COLUMN pauses TEXT;
ALTER TABLE schedules ADD COLUMN pauses TEXT;
