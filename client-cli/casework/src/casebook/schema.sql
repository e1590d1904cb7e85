-- The tables of a casebook. Numbers of epochs and days are those of the protocol; no time is finer than a day.

-- The charter chain as last seen, and the fingerprint that the caseworker compared.
CREATE TABLE charter (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    pinned  BLOB NOT NULL CHECK (length(pinned) = 32),
    chain   TEXT NOT NULL
) STRICT;

-- The caseworker's own enrolments, as they were handed to the keyholders.
CREATE TABLE enrolment (
    counter INTEGER PRIMARY KEY,
    note    BLOB NOT NULL
) STRICT;

-- Epochs of which the keys were destroyed here.
CREATE TABLE destroyed_epoch (
    epoch   INTEGER PRIMARY KEY,
    day     INTEGER NOT NULL
) STRICT;

-- Every manifest that was verified: the memory against rollback and equivocation.
CREATE TABLE manifest (
    hash    BLOB PRIMARY KEY CHECK (length(hash) = 32),
    epoch   INTEGER NOT NULL,
    version INTEGER NOT NULL,
    note    BLOB NOT NULL,
    UNIQUE (epoch, version)
) STRICT;

-- The log's leaves as they were first seen. There may be gaps: nothing waits for a leaf that does not come.
CREATE TABLE leaf (
    idx       INTEGER PRIMARY KEY CHECK (idx >= 0),
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    epoch     INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    log2_size INTEGER NOT NULL
) STRICT;
CREATE INDEX leaf_digest ON leaf (digest);

-- Other leaves that were shown for a place where one was seen: evidence that somebody shows different logs.
CREATE TABLE forked_leaf (
    idx       INTEGER NOT NULL REFERENCES leaf (idx),
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    epoch     INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    log2_size INTEGER NOT NULL,
    PRIMARY KEY (idx, digest, epoch, day, log2_size)
) STRICT, WITHOUT ROWID;
CREATE INDEX forked_leaf_digest ON forked_leaf (digest);

-- What became of each ciphertext that a bundle brought, whether a leaf names it or not.
CREATE TABLE outcome (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    -- Whose key opened it, or else what a leaf says; NULL if there is neither.
    epoch   INTEGER,
    outcome TEXT NOT NULL,
    detail  TEXT,
    report  INTEGER REFERENCES report (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outcome_report ON outcome (report);

-- Reports that opened and verified.
CREATE TABLE report (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Of the ciphertext. A leaf may name it, now or later.
    digest         BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    size_bytes     INTEGER NOT NULL,
    -- Whose key opened it.
    epoch          INTEGER NOT NULL,
    manifest       BLOB NOT NULL REFERENCES manifest (hash),
    report_sha256  BLOB NOT NULL UNIQUE CHECK (length(report_sha256) = 32),
    report_json    BLOB NOT NULL,
    signature      BLOB NOT NULL CHECK (length(signature) = 64),
    codename_key   BLOB NOT NULL CHECK (length(codename_key) = 32),
    reply_key_sha256 BLOB NOT NULL CHECK (length(reply_key_sha256) = 32),
    -- A JSON array of positions; [] is wholly sealed.
    unsealed_slots TEXT NOT NULL,
    continuity     TEXT NOT NULL,
    -- The first report under the same codename, or else with the same reply key, if this is a later one.
    first_report   INTEGER REFERENCES report (id),
    -- What is wrong with the incident, if it could not be read.
    parse_fault    TEXT,
    -- What a list shows, so that it need not read every incident.
    headline       TEXT NOT NULL,
    methods        TEXT NOT NULL,
    home_country   TEXT NOT NULL
) STRICT;
CREATE INDEX report_codename ON report (codename_key);
CREATE INDEX report_reply_key ON report (reply_key_sha256);

-- Deferred: the chunks come before it is known whether the report opens to its end.
CREATE TABLE attachment (
    report     INTEGER NOT NULL REFERENCES report (id) DEFERRABLE INITIALLY DEFERRED,
    position   INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (report, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE attachment_chunk (
    report   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    chunk    INTEGER NOT NULL,
    bytes    BLOB NOT NULL,
    PRIMARY KEY (report, position, chunk),
    FOREIGN KEY (report, position) REFERENCES attachment (report, position)
) STRICT;
