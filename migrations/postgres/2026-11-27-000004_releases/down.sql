DROP TABLE host_agents;
DROP TABLE rollouts;
DROP TABLE releases;
