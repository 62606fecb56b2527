-- When somebody is to be told of a host, where that differs from the general settings.
ALTER TABLE hosts ADD COLUMN limits TEXT;
