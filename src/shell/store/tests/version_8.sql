-- On top of version_7.sql: the next version, with something that an operator has said and one user has heard.
CREATE TABLE announcements (
    number INTEGER PRIMARY KEY,
    said_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;

CREATE TABLE heard (
    user INTEGER PRIMARY KEY REFERENCES names,
    upto INTEGER NOT NULL
) STRICT;
INSERT INTO announcements VALUES (1, 40, 'at five');
INSERT INTO heard SELECT id, 1 FROM names WHERE name = 'hans';
PRAGMA user_version = 8;
