-- The embedded store. Version 2; a change here is a new version and a migration in migrations.py.
-- application_id is "hero"; open_database.py compares both.
PRAGMA application_id = 0x6865726f;
PRAGMA user_version = 2;

-- `sealed` contains the whole record, bound to every other column here. The others only serve to find it.
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

-- The kinds whose records have `is_unique`; a test compares them.
CREATE UNIQUE INDEX records_unique ON records (lookup) WHERE kind IN ('account', 'key', 'peer');
CREATE INDEX records_lookup ON records (lookup) WHERE lookup IS NOT NULL;
CREATE INDEX records_owner ON records (kind, owner, created_at, id);
CREATE INDEX records_age ON records (kind, created_at, id);
CREATE INDEX records_end ON records (kind, expires_at, id) WHERE expires_at IS NOT NULL;
CREATE INDEX records_rev ON records (rev);

-- Deleted records, for followers of the change feed.
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

-- audit_chain.py defines what `mac` covers.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;

-- 'wraps': the root key, sealed under each secret that may open it (a msgpack list).
-- 'head': integrity_head.py, with the revision it is bound to.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    rev INTEGER NOT NULL,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
