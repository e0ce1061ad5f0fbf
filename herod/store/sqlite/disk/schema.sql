-- The embedded store. Version 1; a change here is a new version and a migration beside it.
-- application_id is "hero"; opening.py compares both.
PRAGMA application_id = 0x6865726f;
PRAGMA user_version = 1;

-- `sealed` holds the whole record, bound to every other column here. The others only find it.
-- With a rowid: without one, inserting rows of 400 bytes takes 1.6 times as long, and finding them is no faster.
CREATE TABLE records (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    lookup BLOB,
    owner TEXT,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    rev INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (kind, id)
) STRICT;

-- The kinds whose records say `is_unique`; a test compares.
CREATE UNIQUE INDEX records_unique ON records (lookup) WHERE kind IN ('account', 'key', 'peer');
CREATE INDEX records_lookup ON records (lookup) WHERE lookup IS NOT NULL;
CREATE INDEX records_owner ON records (kind, owner, created_at, id);
CREATE INDEX records_age ON records (kind, created_at, id);
CREATE INDEX records_end ON records (kind, expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX records_rev ON records (rev);

-- What was deleted, for those who follow the change feed.
CREATE TABLE tombstones (
    rev INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    UNIQUE (kind, id)
) STRICT;

-- When and from where a credential was last used. Written lazily, outside the feed.
CREATE TABLE usage (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    source TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- audit_chain.py says what `mac` covers.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- 'wraps': the root key as each secret that may open it seals it (a msgpack list).
-- 'head': head.py, with the revision it is bound to.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    rev INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
