-- Version 1 of a study's database. Every table but `credentials` and `sessions` is derived from `events`
-- (annotation/store/replay.py rebuilds them). Times are whole milliseconds UTC by the server's clock. Points are (row, col) in
-- pixels of the canonical, upright image. Points are called a and b here; what a person saw is first and second
-- (`swap` = 1: b was shown first).

CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,               -- person alias, 'owner' on the command line, or 'server'
    kind TEXT NOT NULL,                -- 'pair.proposed', 'response.given', ...
    data TEXT NOT NULL                 -- canonical JSON
) STRICT;
CREATE TRIGGER events_are_final BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_kept BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;

CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;   -- name, seed, settings of the proposal, ...; JSON values

CREATE TABLE people (
    id INTEGER PRIMARY KEY,
    alias TEXT NOT NULL UNIQUE,        -- pseudonym used in every export: p01, p02, ...
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('owner', 'adjudicator', 'annotator', 'viewer')),
    active INTEGER NOT NULL DEFAULT 1,
    keys TEXT NOT NULL DEFAULT '{}',   -- remapped keys, JSON
    created INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX people_names ON people (name) WHERE active;

CREATE TABLE credentials (             -- secrets: not in the event log
    person INTEGER NOT NULL REFERENCES people (id),
    token_sha256 TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    revoked INTEGER
) STRICT;
CREATE TABLE sessions (
    id_sha256 TEXT PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people (id),
    csrf TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT;

CREATE TABLE projects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('open', 'paused', 'closed')),
    settings TEXT NOT NULL,            -- annotation/settings.py, JSON
    created INTEGER NOT NULL
) STRICT;

CREATE TABLE images (
    sha256 TEXT PRIMARY KEY,           -- of the canonical file
    file TEXT NOT NULL,                -- name below STUDY/images
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0),
    scene TEXT NOT NULL DEFAULT '',
    original_name TEXT NOT NULL,
    original_sha256 TEXT NOT NULL,
    orientation INTEGER NOT NULL DEFAULT 1,   -- EXIF orientation that was applied
    source TEXT NOT NULL DEFAULT '',
    author TEXT NOT NULL DEFAULT '',
    licence TEXT NOT NULL DEFAULT '',
    retrieved TEXT NOT NULL DEFAULT '',
    keyword TEXT NOT NULL DEFAULT '',
    more TEXT NOT NULL DEFAULT '{}',   -- unknown columns of the list, kept
    state TEXT NOT NULL DEFAULT 'ok' CHECK (state IN ('ok', 'bad')),
    problem TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE generators (              -- where key points come from
    id INTEGER PRIMARY KEY,
    source TEXT NOT NULL,              -- 'sam', 'sam-hf', 'region', 'manual', 'import'
    settings TEXT NOT NULL,            -- JSON: grid, thresholds, versions
    checkpoint TEXT NOT NULL DEFAULT '',
    checkpoint_sha256 TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE keypoints (
    id INTEGER PRIMARY KEY,
    image TEXT NOT NULL REFERENCES images (sha256),
    generator INTEGER NOT NULL REFERENCES generators (id),
    row INTEGER NOT NULL,
    col INTEGER NOT NULL,
    area INTEGER,                      -- of the smallest region that holds the point, in pixels
    predicted_iou REAL,
    stability REAL,
    more TEXT NOT NULL DEFAULT '{}'    -- crop box, bounding box, ...
) STRICT;
CREATE INDEX keypoints_of ON keypoints (image);

CREATE TABLE pairs (
    id TEXT PRIMARY KEY,               -- UUID; of proposed pairs made from seed, image and points
    project INTEGER NOT NULL REFERENCES projects (id),
    image TEXT NOT NULL REFERENCES images (sha256),
    a_row INTEGER NOT NULL, a_col INTEGER NOT NULL,
    b_row INTEGER NOT NULL, b_col INTEGER NOT NULL,
    a_keypoint INTEGER REFERENCES keypoints (id),
    b_keypoint INTEGER REFERENCES keypoints (id),
    route TEXT NOT NULL CHECK (route IN ('disagreement', 'control', 'uniform', 'manual', 'import')),
    stratum TEXT NOT NULL DEFAULT '',  -- scene and gap bin, or the reason tag of a manual pair
    probability REAL CHECK (probability IS NULL OR (probability > 0 AND probability <= 1)),   -- of being drawn; NULL: not drawn
    gap REAL,                          -- median over experts of the normalised difference
    score REAL,                        -- disagreement
    layered INTEGER NOT NULL DEFAULT 0,       -- 1: asked twice, front layer and background
    reason TEXT NOT NULL DEFAULT '',   -- of a manual pair
    gold TEXT CHECK (gold IS NULL OR gold IN ('a', 'b', 'equal')),   -- the known answer of hidden test pairs
    gold_note TEXT NOT NULL DEFAULT '',
    purpose TEXT NOT NULL DEFAULT 'label' CHECK (purpose IN ('label', 'gold', 'qualification')),
    state TEXT NOT NULL CHECK (state IN ('proposed', 'queued', 'answered', 'agreed', 'disputed', 'adjudicated', 'final', 'dropped')),
    position INTEGER NOT NULL,         -- order of asking: by image, scenes interleaved
    wanted INTEGER,                    -- people that the policy wants in all; NULL: as many as it asks at first
    taken INTEGER NOT NULL DEFAULT 0,  -- assignments after `asked_from` that are open or done, without repeats
    asked_from INTEGER NOT NULL DEFAULT 0,    -- newest assignment when the pair was reopened: up to it nothing counts
    more TEXT NOT NULL DEFAULT '{}',   -- fields of an imported pair that we do not know
    created_by TEXT NOT NULL,
    created INTEGER NOT NULL,
    CHECK (a_row <> b_row OR a_col <> b_col)
) STRICT;
CREATE INDEX pairs_queue ON pairs (project, state, position);
CREATE INDEX pairs_of_image ON pairs (image);
CREATE INDEX pairs_open ON pairs (project, position) WHERE purpose = 'label' AND state IN ('queued', 'answered');
CREATE INDEX pairs_of_test ON pairs (project, purpose) WHERE purpose <> 'label';

CREATE TABLE scene_counts (            -- label pairs by scene and state, kept by the triggers below
    project INTEGER NOT NULL, scene TEXT NOT NULL, state TEXT NOT NULL, pairs INTEGER NOT NULL,
    PRIMARY KEY (project, scene, state)
) STRICT;
CREATE TRIGGER pairs_counted AFTER INSERT ON pairs WHEN NEW.purpose = 'label' BEGIN
    INSERT INTO scene_counts VALUES (NEW.project, (SELECT scene FROM images WHERE sha256 = NEW.image), NEW.state, 1)
    ON CONFLICT DO UPDATE SET pairs = pairs + 1;
END;
CREATE TRIGGER pairs_recounted AFTER UPDATE OF state, purpose ON pairs BEGIN
    UPDATE scene_counts SET pairs = pairs - 1
    WHERE project = OLD.project AND scene = (SELECT scene FROM images WHERE sha256 = OLD.image) AND state = OLD.state
        AND OLD.purpose = 'label';
    INSERT INTO scene_counts SELECT NEW.project, scene, NEW.state, 1 FROM images
    WHERE sha256 = NEW.image AND NEW.purpose = 'label'
    ON CONFLICT DO UPDATE SET pairs = pairs + 1;
END;
CREATE TRIGGER scenes_recounted AFTER UPDATE OF scene ON images WHEN OLD.scene <> NEW.scene BEGIN
    DELETE FROM scene_counts WHERE scene IN (OLD.scene, NEW.scene);
    INSERT INTO scene_counts SELECT p.project, i.scene, p.state, count(*) FROM pairs p JOIN images i ON i.sha256 = p.image
    WHERE p.purpose = 'label' AND i.scene IN (OLD.scene, NEW.scene) GROUP BY p.project, i.scene, p.state;
END;

CREATE TABLE votes (
    pair TEXT NOT NULL REFERENCES pairs (id),
    model TEXT NOT NULL,
    output TEXT NOT NULL,              -- disparity, depth or metric
    value_a REAL, value_b REAL,        -- raw
    median_a REAL, median_b REAL,      -- of the 5x5 window
    vote TEXT NOT NULL CHECK (vote IN ('a', 'b', 'tie')),
    more TEXT NOT NULL DEFAULT '{}',   -- weights sha256, settings, spread of the map
    PRIMARY KEY (pair, model)
) STRICT;

CREATE TABLE assignments (
    id INTEGER PRIMARY KEY,
    pair TEXT NOT NULL REFERENCES pairs (id),
    person INTEGER NOT NULL REFERENCES people (id),
    round INTEGER NOT NULL,            -- 1; a hidden repeat is 2, 3, ...
    kind TEXT NOT NULL CHECK (kind IN ('label', 'check', 'gold', 'repeat', 'qualification')),
    swap INTEGER NOT NULL,
    issued INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'returned', 'expired')),
    proposed TEXT CHECK (proposed IS NULL OR proposed IN ('a', 'b', 'equal')),   -- what an open check shows
    UNIQUE (pair, person, round)
) STRICT;
CREATE INDEX assignments_of_person ON assignments (person, state);
CREATE INDEX assignments_in_order ON assignments (person);
CREATE INDEX assignments_leased ON assignments (lease_until) WHERE state = 'open' AND kind IN ('label', 'check');

CREATE TABLE progress (                -- assignments of a person in a project, without the qualification
    project INTEGER NOT NULL, person INTEGER NOT NULL,
    issued INTEGER NOT NULL DEFAULT 0, -- ever, each counted once
    done INTEGER NOT NULL DEFAULT 0,
    had INTEGER NOT NULL DEFAULT 0,    -- pairs in question now (queued or answered) that this person holds or has answered
    PRIMARY KEY (project, person)
) STRICT;

CREATE TABLE qualifications (          -- complete rounds
    project INTEGER NOT NULL REFERENCES projects (id),
    person INTEGER NOT NULL REFERENCES people (id),
    try INTEGER NOT NULL,              -- 1, 2, ...; the round of its assignments
    "right" INTEGER NOT NULL, "of" INTEGER NOT NULL, passed INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, person, try)
) STRICT;

CREATE TABLE responses (               -- append-only: undo and change are new rows
    uuid TEXT PRIMARY KEY,             -- made by the client
    assignment INTEGER NOT NULL REFERENCES assignments (id),
    pair TEXT NOT NULL REFERENCES pairs (id),
    person INTEGER NOT NULL REFERENCES people (id),
    round INTEGER NOT NULL,
    relation TEXT NOT NULL CHECK (relation IN ('closer', 'front', 'back')),
    shown TEXT NOT NULL CHECK (shown IN ('first', 'second', 'equal', 'skip', 'undo')),   -- as the person answered
    answer TEXT NOT NULL CHECK (answer IN ('a', 'b', 'equal', 'skip', 'undo')),         -- the same on points a and b
    swap INTEGER NOT NULL,
    confidence TEXT NOT NULL DEFAULT '' CHECK (confidence IN ('', 'guessing', 'probably', 'definitely')),
    reason TEXT NOT NULL DEFAULT '',
    mode TEXT NOT NULL DEFAULT 'blind' CHECK (mode IN ('blind', 'open')),
    shown_at INTEGER, answered_at INTEGER,    -- by the client's clock
    received_at INTEGER NOT NULL,
    active_ms INTEGER, wall_ms INTEGER CHECK (wall_ms IS NULL OR active_ms IS NULL OR (0 <= active_ms AND active_ms <= wall_ms)),
    late INTEGER NOT NULL DEFAULT 0,   -- came after the lease had ended
    surplus INTEGER NOT NULL DEFAULT 0,       -- more than was asked for when it came
    seq INTEGER NOT NULL UNIQUE REFERENCES events (seq),   -- its event; the order of answers
    client TEXT NOT NULL DEFAULT '{}', -- viewport, zoom, key, input, blurs, aids, build, version of the instructions
    supersedes TEXT REFERENCES responses (uuid)
) STRICT;
CREATE INDEX responses_of_pair ON responses (pair);
CREATE INDEX responses_of_person ON responses (person, received_at);
CREATE INDEX responses_in_order ON responses (person, seq);
CREATE TRIGGER responses_are_final BEFORE UPDATE ON responses BEGIN SELECT RAISE(ABORT, 'responses are append-only'); END;
CREATE TRIGGER responses_are_kept BEFORE DELETE ON responses BEGIN SELECT RAISE(ABORT, 'responses are append-only'); END;

CREATE TABLE live (                    -- the answer that counts now, one per pair, person, round and relation
    pair TEXT NOT NULL, person INTEGER NOT NULL, round INTEGER NOT NULL, relation TEXT NOT NULL,
    uuid TEXT NOT NULL UNIQUE REFERENCES responses (uuid),
    PRIMARY KEY (pair, person, round, relation)
) STRICT;

CREATE TABLE decisions (               -- append-only; the newest of a pair and relation counts
    id INTEGER PRIMARY KEY,
    uuid TEXT UNIQUE,                  -- made by the client; NULL for what the policy decided
    pair TEXT NOT NULL REFERENCES pairs (id),
    relation TEXT NOT NULL,
    result TEXT NOT NULL CHECK (result IN ('a', 'b', 'equal', 'drop', 'reopen')),
    policy TEXT NOT NULL,              -- name of the policy, or 'adjudication'
    by_person TEXT NOT NULL,           -- alias, or 'policy'
    reason TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX decisions_of ON decisions (pair, id);

CREATE TABLE releases (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL,
    manifest TEXT NOT NULL,            -- canonical JSON: policy, counts, pair ids with their labels
    by_person TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TRIGGER releases_are_final BEFORE UPDATE ON releases BEGIN SELECT RAISE(ABORT, 'releases are immutable'); END;
CREATE TRIGGER releases_are_kept BEFORE DELETE ON releases BEGIN SELECT RAISE(ABORT, 'releases are immutable'); END;
