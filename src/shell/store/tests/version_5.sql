-- What version 5 has more than version 4.
PRAGMA user_version = 5;
CREATE TABLE sends (
    user INTEGER NOT NULL REFERENCES names,
    until INTEGER NOT NULL,
    number INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    words INTEGER NOT NULL,
    PRIMARY KEY (user, until, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "sends" VALUES(1,86400000009,7,'done',5);
