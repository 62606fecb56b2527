-- The roll-out in which somebody asked for the update of a host out of its stage, and when. Another roll-out makes it void.
ALTER TABLE host_agents ADD COLUMN asked_rollout TEXT;
ALTER TABLE host_agents ADD COLUMN asked_at BIGINT;
CREATE INDEX host_agents_asked ON host_agents (asked_rollout) WHERE asked_rollout IS NOT NULL;
