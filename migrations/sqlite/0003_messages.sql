-- What was sent, by us or as statuses told us. `state` is derived from `own_state` and the newest send whenever either
-- changes; `own_state` is what we know without any status.

CREATE TABLE messages (
    id text PRIMARY KEY,
    account text NOT NULL,
    conversation_id text,
    origin text NOT NULL,
    -- The job whose outcome queued it, and its place there: a handler that ran twice queues its replies once.
    caused_by text,
    reply_index integer,
    content text,
    fallback text,
    callback_data text,
    campaign text,
    own_state text NOT NULL,
    state text NOT NULL,
    confirms_opt_out integer NOT NULL DEFAULT 0,
    error text,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    UNIQUE (caused_by, reply_index)
) STRICT;

CREATE INDEX messages_of_conversation ON messages (conversation_id, id);
CREATE INDEX messages_unconfirmed ON messages (conversation_id) WHERE own_state = 'unconfirmed';

-- The requests a message took: 1, and 2 for the fallback. The earliest time of each status is kept.
CREATE TABLE sends (
    message_id text NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    number integer NOT NULL,
    kind text NOT NULL,
    account text NOT NULL,
    conversation_id text,
    provider_message_id text,
    dispatched_at integer,
    accepted_at integer,
    sent_at integer,
    delivered_at integer,
    read_at integer,
    failed_at integer,
    error text,
    PRIMARY KEY (message_id, number),
    -- The id first: people ask by it alone.
    UNIQUE (provider_message_id, account)
) STRICT;

-- For counting a conversation's replies of the last minute.
CREATE INDEX sends_dispatched ON sends (conversation_id, dispatched_at) WHERE dispatched_at IS NOT NULL;
