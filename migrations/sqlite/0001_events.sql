-- What was delivered. Ids are ULIDs as text, times are Unix milliseconds: both sort by time and are exact in either
-- database. Retention deletes old rows in small batches, so no foreign keys point to the tables that grow.

CREATE TABLE events (
    id text PRIMARY KEY,
    account text NOT NULL,
    type text NOT NULL,
    conversation_id text,
    provider_message_id text,
    in_reply_to text,
    status text,
    error_code text,
    -- JSON text as it was echoed.
    callback_data text,
    campaign text,
    occurred_at integer,
    received_at integer NOT NULL
) STRICT;

CREATE INDEX events_of_conversation ON events (conversation_id, id);
CREATE INDEX events_of_message ON events (provider_message_id) WHERE provider_message_id IS NOT NULL;

-- The verified bytes. Apart from `events`, so that retention can drop them and keep the event.
CREATE TABLE bodies (
    event_id text PRIMARY KEY,
    body blob NOT NULL
) STRICT;

-- One row per event key: what makes a repeat of a delivery. Keys begin with 48 bits of the time their sender
-- names, so that the index grows at its end.
CREATE TABLE dedupe (
    key blob NOT NULL,
    account text NOT NULL,
    event_id text NOT NULL,
    body_hash blob NOT NULL,
    duplicates integer NOT NULL DEFAULT 0,
    PRIMARY KEY (key, account)
) STRICT;

CREATE INDEX dedupe_of_event ON dedupe (event_id);

-- What became of each finished job; append-only.
CREATE TABLE outcomes (
    id text PRIMARY KEY,
    job_id text NOT NULL,
    kind text NOT NULL,
    route text,
    event_id text,
    message_id text,
    run integer NOT NULL,
    outcome text NOT NULL,
    at integer NOT NULL,
    attempts integer NOT NULL,
    last_error text,
    log text NOT NULL
) STRICT;

CREATE INDEX outcomes_of_job ON outcomes (job_id);
CREATE INDEX outcomes_of_event ON outcomes (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX outcomes_of_message ON outcomes (message_id) WHERE message_id IS NOT NULL;
