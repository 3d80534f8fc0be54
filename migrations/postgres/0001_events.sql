-- What was delivered. Ids are ULIDs as uuid, times are Unix milliseconds: both sort by time and are exact in either
-- database. The four tables that grow with traffic are partitioned by month on their time-ordered key; `switchboard`
-- makes partitions ahead, and retention drops whole ones. No foreign keys point to them, so that they can go.

CREATE TABLE events (
    id uuid PRIMARY KEY,
    account text NOT NULL,
    type text NOT NULL,
    conversation_id uuid,
    provider_message_id text,
    in_reply_to text,
    status text,
    error_code text,
    -- JSON text as it was echoed: jsonb would refuse what others may send (NUL, lone surrogates) and reorder the rest.
    callback_data text,
    campaign text,
    occurred_at bigint,
    received_at bigint NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX events_of_conversation ON events (conversation_id, id);
CREATE INDEX events_of_message ON events (provider_message_id) WHERE provider_message_id IS NOT NULL;

-- The verified bytes. Apart from `events`, so that retention can drop them and keep the event.
CREATE TABLE bodies (
    event_id uuid PRIMARY KEY,
    body bytea NOT NULL
) PARTITION BY RANGE (event_id);

-- One row per event key: what makes a repeat of a delivery. Keys begin with 48 bits of the time their sender names, which
-- may be any: the outer partitions reach from the smallest key and to the largest.
CREATE TABLE dedupe (
    key bytea NOT NULL,
    account text NOT NULL,
    event_id uuid NOT NULL,
    body_hash bytea NOT NULL,
    duplicates bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (key, account)
) PARTITION BY RANGE (key);

CREATE INDEX dedupe_of_event ON dedupe (event_id);

-- What became of each finished job; append-only.
CREATE TABLE outcomes (
    id uuid PRIMARY KEY,
    job_id uuid NOT NULL,
    kind text NOT NULL,
    route text,
    event_id uuid,
    message_id uuid,
    run bigint NOT NULL,
    outcome text NOT NULL,
    at bigint NOT NULL,
    attempts bigint NOT NULL,
    last_error text,
    log text NOT NULL
) PARTITION BY RANGE (id);

CREATE INDEX outcomes_of_job ON outcomes (job_id);
CREATE INDEX outcomes_of_event ON outcomes (event_id) WHERE event_id IS NOT NULL;
CREATE INDEX outcomes_of_message ON outcomes (message_id) WHERE message_id IS NOT NULL;
