CREATE TABLE utilisateur (
  id serial PRIMARY KEY,
  sujet_oidc text NOT NULL
);
