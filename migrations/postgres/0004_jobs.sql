-- Unfinished and parked work only; what is finished moves to `outcomes`. A job is `parked` when it has a `parked_at`,
-- `running` while its lease lasts, else `ready`.

CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    account text NOT NULL,
    -- Empty for sends.
    route text NOT NULL,
    event_id uuid,
    message_id uuid,
    conversation_id uuid,
    -- 0 for the job an event made on arrival, then one more per replay.
    run bigint NOT NULL DEFAULT 0,
    -- Jobs of one lane run one at a time in the order of `sequence`; without a lane they run as they come.
    lane text,
    sequence bigint NOT NULL DEFAULT 0,
    -- Whether an unfinished job is ahead of it in its lane. Claims look at the others only, so a long lane costs them
    -- nothing. Whoever takes a job out of a lane promotes the next one, under the conversation's lock.
    blocked boolean NOT NULL DEFAULT false,
    due_at bigint NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    first_attempt_at bigint,
    lease_token uuid,
    lease_until bigint,
    -- The fence of a send: set just before the request leaves, and never twice for one claim.
    dispatched_at bigint,
    parked_at bigint,
    last_error text,
    log text NOT NULL DEFAULT '[]',
    created_at bigint NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);

CREATE UNIQUE INDEX jobs_of_event ON jobs (event_id, route, run) WHERE event_id IS NOT NULL;
CREATE INDEX jobs_of_message ON jobs (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (route, due_at, id) WHERE parked_at IS NULL AND NOT blocked;
CREATE INDEX jobs_in_lanes ON jobs (lane, sequence) WHERE parked_at IS NULL AND lane IS NOT NULL;

-- What a route keeps for a conversation, as JSON.
CREATE TABLE handler_state (
    route text NOT NULL,
    conversation_id uuid NOT NULL,
    state text NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (route, conversation_id)
);

-- When a rule last answered in a conversation, for `once_per`.
CREATE TABLE rule_uses (
    route text NOT NULL,
    rule text NOT NULL,
    conversation_id uuid NOT NULL,
    used_at bigint NOT NULL,
    PRIMARY KEY (route, rule, conversation_id)
);

-- Answers to requests that may be repeated under the same key.
CREATE TABLE idempotency (
    account text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    message_id uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (account, key)
);

-- What all instances share: pauses, rate buckets, which routes somebody knows.
CREATE TABLE settings (
    key text PRIMARY KEY,
    value text NOT NULL,
    updated_at bigint NOT NULL
);
