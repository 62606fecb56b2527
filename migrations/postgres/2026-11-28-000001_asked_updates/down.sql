DROP INDEX host_agents_asked;
ALTER TABLE host_agents DROP COLUMN asked_at;
ALTER TABLE host_agents DROP COLUMN asked_rollout;
