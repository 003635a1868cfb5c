-- pilotis ignore=migration-incompatible
ALTER TABLE demarche DROP COLUMN libelle;
