-- On top of version_5.sql: the next version, with a user who is muted.
CREATE TABLE restraints (
    user INTEGER NOT NULL REFERENCES names,
    how TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (user, how)
) STRICT, WITHOUT ROWID;
INSERT INTO restraints SELECT id, 'muted', 5 FROM names WHERE name = 'hans';
PRAGMA user_version = 6;
