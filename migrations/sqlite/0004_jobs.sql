-- Unfinished and parked work only; what is finished moves to `outcomes`. A job is `parked` when it has a `parked_at`,
-- `running` while its lease lasts, else `ready`.

CREATE TABLE jobs (
    id text PRIMARY KEY,
    kind text NOT NULL,
    account text NOT NULL,
    -- Empty for sends.
    route text NOT NULL,
    event_id text,
    message_id text,
    conversation_id text,
    -- 0 for the job an event made on arrival, then one more per replay.
    run integer NOT NULL DEFAULT 0,
    -- Jobs of one lane run one at a time in the order of `sequence`; without a lane they run as they come.
    lane text,
    sequence integer NOT NULL DEFAULT 0,
    -- Whether an unfinished job is ahead of it in its lane. Claims look at the others only, so a long lane costs them
    -- nothing. Whoever takes a job out of a lane promotes the next one, under the conversation's lock.
    blocked integer NOT NULL DEFAULT 0,
    due_at integer NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    first_attempt_at integer,
    lease_token text,
    lease_until integer,
    -- The fence of a send: set just before the request leaves, and never twice for one claim.
    dispatched_at integer,
    parked_at integer,
    last_error text,
    log text NOT NULL DEFAULT '[]',
    created_at integer NOT NULL
) STRICT;

CREATE UNIQUE INDEX jobs_of_event ON jobs (event_id, route, run) WHERE event_id IS NOT NULL;
CREATE INDEX jobs_of_message ON jobs (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (route, due_at, id) WHERE parked_at IS NULL AND blocked = 0;
CREATE INDEX jobs_in_lanes ON jobs (lane, sequence) WHERE parked_at IS NULL AND lane IS NOT NULL;

-- What a route keeps for a conversation, as JSON.
CREATE TABLE handler_state (
    route text NOT NULL,
    conversation_id text NOT NULL,
    state text NOT NULL,
    updated_at integer NOT NULL,
    PRIMARY KEY (route, conversation_id)
) STRICT;

-- When a rule last answered in a conversation, for `once_per`.
CREATE TABLE rule_uses (
    route text NOT NULL,
    rule text NOT NULL,
    conversation_id text NOT NULL,
    used_at integer NOT NULL,
    PRIMARY KEY (route, rule, conversation_id)
) STRICT;

-- Answers to requests that may be repeated under the same key.
CREATE TABLE idempotency (
    account text NOT NULL,
    key text NOT NULL,
    body_hash blob NOT NULL,
    message_id text NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (account, key)
) STRICT;

-- What all instances share: pauses, rate buckets, which routes somebody knows.
CREATE TABLE settings (
    key text PRIMARY KEY,
    value text NOT NULL,
    updated_at integer NOT NULL
) STRICT;
