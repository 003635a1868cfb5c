CREATE TABLE utilisateur (
  id serial PRIMARY KEY,
  courriel text,
  mot_de_passe varchar(120) NOT NULL
);
