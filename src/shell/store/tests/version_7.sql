-- On top of version_6.sql: the next version, with an invite and a network from which nobody is let in.
CREATE TABLE invites (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 16),
    number INTEGER NOT NULL,
    name TEXT,
    uses INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ranges (
    addresses TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO invites VALUES (x'01010101010101010101010101010101', 1, 'rey', 3, -1);
INSERT INTO ranges VALUES ('192.0.2.0/24', 9);
PRAGMA user_version = 7;
