ALTER TABLE demarche ADD COLUMN etat text NOT NULL DEFAULT 'neuf';
