-- A data folder as version 4 of the tables left it, to be opened by every later version. Never changed.
PRAGMA page_size = 2048;
PRAGMA foreign_keys = OFF;
PRAGMA application_id = 1215259246;
PRAGMA user_version = 4;
CREATE TABLE blocks (
    blocker INTEGER NOT NULL REFERENCES names,
    blocked INTEGER NOT NULL REFERENCES names,
    PRIMARY KEY (blocker, blocked)
) STRICT, WITHOUT ROWID;
INSERT INTO "blocks" VALUES(1,2);
CREATE TABLE devices (
    user INTEGER NOT NULL REFERENCES names,
    digest BLOB NOT NULL CHECK (length(digest) = 16),
    login INTEGER NOT NULL,
    count INTEGER NOT NULL,
    locked_until INTEGER,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "devices" VALUES(1,X'0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D0D',7,1,NULL);
CREATE TABLE failures (
    user INTEGER PRIMARY KEY REFERENCES names,
    count INTEGER NOT NULL,
    locked_until INTEGER,
    since_login INTEGER NOT NULL
) STRICT;
INSERT INTO "failures" VALUES(1,2,NULL,2);
INSERT INTO "failures" VALUES(2,3,-1,3);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
, maker INTEGER REFERENCES names, maker_left INTEGER) STRICT;
INSERT INTO "groups" VALUES(1,'jedi',3,NULL);
CREATE TABLE mail (
    id INTEGER PRIMARY KEY,
    receiver INTEGER NOT NULL REFERENCES names,
    boot INTEGER NOT NULL,
    number INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES names,
    group_name TEXT,
    login INTEGER,
    command INTEGER,
    sent_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
INSERT INTO "mail" VALUES(2,1,1,2,3,NULL,3,2,700002,'two');
INSERT INTO "mail" VALUES(3,1,1,3,4,NULL,3,3,700003,'three');
INSERT INTO "mail" VALUES(4,3,1,9,4,'jedi',-1,-1,7,'a text');
CREATE TABLE members (
    group_id INTEGER NOT NULL REFERENCES groups,
    place INTEGER NOT NULL,
    user INTEGER NOT NULL REFERENCES names,
    PRIMARY KEY (group_id, place)
) STRICT, WITHOUT ROWID;
INSERT INTO "members" VALUES(1,0,3);
INSERT INTO "members" VALUES(1,1,4);
INSERT INTO "members" VALUES(1,2,1);
CREATE TABLE names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "names" VALUES(1,'hans');
INSERT INTO "names" VALUES(2,'vader');
INSERT INTO "names" VALUES(3,'luke');
INSERT INTO "names" VALUES(4,'yoda');
CREATE TABLE server (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    last_written INTEGER NOT NULL
) STRICT;
INSERT INTO "server" VALUES(1,1,X'5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A',700516);
CREATE TABLE sessions (
    user INTEGER PRIMARY KEY REFERENCES names,
    login INTEGER NOT NULL,
    token BLOB CHECK (length(token) = 16),
    began INTEGER NOT NULL,
    resumed INTEGER,
    ended INTEGER,
    resumable INTEGER
) STRICT;
INSERT INTO "sessions" VALUES(1,1,X'01010101010101010101010101010101',10,NULL,20,0);
INSERT INTO "sessions" VALUES(3,-1,NULL,60,NULL,NULL,NULL);
INSERT INTO "sessions" VALUES(4,4,X'04040404040404040404040404040404',30,50,NULL,NULL);
CREATE TABLE settled (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES names,
    turn INTEGER NOT NULL,
    login INTEGER NOT NULL,
    command INTEGER NOT NULL,
    outcome TEXT NOT NULL
, words INTEGER) STRICT;
INSERT INTO "settled" VALUES(1,4,1,4,-1,'stored',NULL);
INSERT INTO "settled" VALUES(2,4,2,4,2,'broadcast 5 withheld',77);
INSERT INTO "settled" VALUES(3,1,1,1,1,'failed mailbox_full',NULL);
CREATE TABLE strangers (
    turn INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 16),
    count INTEGER NOT NULL,
    locked_until INTEGER,
    since_login INTEGER NOT NULL
) STRICT;
INSERT INTO "strangers" VALUES(1,X'09090909090909090909090909090909',1,5,1);
CREATE TABLE couriers (
    user INTEGER NOT NULL REFERENCES names,
    digest BLOB NOT NULL CHECK (length(digest) = 16),
    until INTEGER NOT NULL,
    PRIMARY KEY (user, digest)
) STRICT, WITHOUT ROWID;
INSERT INTO "couriers" VALUES(1,X'0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c',99);
