DROP TABLE recovery_kits;
