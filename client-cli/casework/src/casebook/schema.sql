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

-- Edges of the log's tree, as a checkpoint proved them: for each size, the roots of the perfect subtrees that it splits
-- into, 32 bytes each, largest first. One every few thousand leaves, so that the root of any earlier size is cheap, and
-- one at the end. The first may be a colleague's, by whose leave a newcomer begins there.
CREATE TABLE mark (
    size  INTEGER PRIMARY KEY CHECK (size >= 0),
    peaks BLOB NOT NULL
) STRICT;

-- The leaves of that tree. Every one is proven by a checkpoint.
CREATE TABLE leaf (
    idx       INTEGER PRIMARY KEY CHECK (idx >= 0),
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    epoch     INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    log2_size INTEGER NOT NULL,
    -- The day of the first checkpoint under which a bundle showed it.
    seen      INTEGER NOT NULL,
    -- What became of it; NULL until the accounting comes to it, or comes to it again.
    class     TEXT
) STRICT;
CREATE INDEX leaf_digest ON leaf (digest);
CREATE INDEX leaf_unaccounted ON leaf (idx) WHERE class IS NULL;
CREATE INDEX leaf_opened ON leaf (epoch, day) WHERE class = 'opened';

-- How many leaves of each epoch are of each class, kept by the triggers below: no count reads the log.
CREATE TABLE tally (
    epoch INTEGER NOT NULL,
    class TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (epoch, class)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER leaf_counted AFTER UPDATE OF class ON leaf WHEN old.class IS NOT new.class BEGIN
    UPDATE tally SET count = count - 1 WHERE epoch = old.epoch AND class = old.class;
    INSERT INTO tally (epoch, class, count) SELECT new.epoch, new.class, 1 WHERE new.class IS NOT NULL
        ON CONFLICT DO UPDATE SET count = count + 1;
END;

-- What one bundle said of the log: so many leaves from one place on, and the checkpoint that they lead to. It waits here
-- until the tree reaches it, and is then proven, or named.
CREATE TABLE claim (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    first      INTEGER NOT NULL,
    count      INTEGER NOT NULL,
    -- The checkpoint; empty if the bundle had none.
    note       BLOB NOT NULL,
    -- Whether a bundle was imported to its end with it. Before that it proves nothing: its reports may still come.
    whole      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (first, count, note)
) STRICT;
CREATE TABLE claimed_leaf (
    claim     INTEGER NOT NULL REFERENCES claim (id) ON DELETE CASCADE,
    idx       INTEGER NOT NULL,
    digest    BLOB NOT NULL CHECK (length(digest) = 32),
    epoch     INTEGER NOT NULL,
    day       INTEGER NOT NULL,
    log2_size INTEGER NOT NULL,
    PRIMARY KEY (claim, idx)
) STRICT, WITHOUT ROWID;
CREATE INDEX claimed_leaf_digest ON claimed_leaf (digest);

-- Who said, and signed, that the log has this root at this size: the server, or a colleague. Never two roots at one size.
CREATE TABLE head (
    size    INTEGER NOT NULL,
    root    BLOB NOT NULL CHECK (length(root) = 32),
    source  TEXT NOT NULL,
    -- Of a checkpoint alone, whose source names it too.
    day     INTEGER,
    -- Whether it was compared with the tree, once the tree was large enough.
    checked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (size, root, source)
) STRICT, WITHOUT ROWID;
CREATE INDEX head_unchecked ON head (size) WHERE checked = 0;
CREATE INDEX head_day ON head (day, size) WHERE day IS NOT NULL;

-- What must not vanish quietly. Each stays until a caseworker acknowledges it with a comment.
CREATE TABLE alarm (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    -- The leaf it is about, if it is about one.
    leaf         INTEGER,
    detail       TEXT NOT NULL,
    -- A signed note that proves it, if there is one.
    evidence     TEXT,
    raised       INTEGER NOT NULL,
    -- Since when what raised it is no longer so.
    over         INTEGER,
    acknowledged INTEGER,
    comment      TEXT,
    UNIQUE (kind, subject)
) STRICT;
CREATE INDEX alarm_leaf ON alarm (leaf) WHERE leaf IS NOT NULL;
CREATE INDEX alarm_open ON alarm (kind) WHERE acknowledged IS NULL;

-- Orders that a bundle says the server accepted. Whether they are valid is asked of the newest manifest each time.
CREATE TABLE accepted_order (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    idx    INTEGER NOT NULL,
    epoch  INTEGER NOT NULL,
    note   BLOB NOT NULL,
    -- Whether it was judged under the newest manifest of its epoch that is known.
    judged INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX order_unjudged ON accepted_order (idx) WHERE judged = 0;
CREATE TABLE deletion (
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    order_digest BLOB NOT NULL REFERENCES accepted_order (digest),
    -- Whether it was seen to be due, so that nothing needs to look at it again.
    done         INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (digest, order_digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_order ON deletion (order_digest);
CREATE INDEX deletion_due ON deletion (digest) WHERE done = 0;

-- Orders that I made or co-signed.
CREATE TABLE own_order (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    id      TEXT NOT NULL,
    made    INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    what    TEXT NOT NULL
) STRICT;

-- Reports that couriers sent themselves, to see whether they arrive.
CREATE TABLE canary (
    digest  BLOB PRIMARY KEY CHECK (length(digest) = 32),
    name    TEXT NOT NULL,
    receipt BLOB NOT NULL,
    day     INTEGER NOT NULL,
    arrived INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Answers, by the report they answer. They hang on every board until they are as old as reports may become.
CREATE TABLE answer (
    id     BLOB PRIMARY KEY CHECK (length(id) = 16),
    report INTEGER NOT NULL REFERENCES report (id),
    day    INTEGER NOT NULL,
    text   TEXT NOT NULL
) STRICT;
CREATE INDEX answer_report ON answer (report);

-- Reports that were folded away as abuse: they are not acknowledged.
CREATE TABLE folded (
    report INTEGER PRIMARY KEY REFERENCES report (id),
    day    INTEGER NOT NULL
) STRICT;

-- The day of the last board that was made here.
CREATE TABLE board (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    day INTEGER NOT NULL
) STRICT;

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
    home_country   TEXT NOT NULL,
    -- The name of the canary that it is, if it is one: then it is no case.
    canary         TEXT
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
