-- renomme
ALTER TABLE demarche ADD COLUMN etat text NOT NULL;
ALTER TABLE demarche
  DROP COLUMN libelle;
