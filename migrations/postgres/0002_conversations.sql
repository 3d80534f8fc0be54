-- Who is spoken with. `phone` and `user_id` on a customer are the ones in force; `identities` finds the customer by any,
-- also by the id of a customer that was merged into this one.

CREATE TABLE customers (
    id uuid PRIMARY KEY,
    account text NOT NULL,
    phone text,
    user_id text,
    name text,
    opted_out_at bigint,
    created_at bigint NOT NULL
);

CREATE TABLE identities (
    account text NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    customer_id uuid NOT NULL REFERENCES customers (id),
    -- The value first: people ask by it alone.
    PRIMARY KEY (value, kind, account)
);

CREATE INDEX identities_of_customer ON identities (customer_id);

-- One customer with one number of the business. The row is the lock under which sequence numbers are handed out, so that
-- jobs of a lane are numbered in the order of their commits. A conversation that was merged into another stays as a
-- signpost: events keep the id they were stored with, and reads follow it.
CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    account text NOT NULL,
    business text NOT NULL,
    business_name text,
    customer_id uuid NOT NULL REFERENCES customers (id),
    last_sequence bigint NOT NULL DEFAULT 0,
    last_inbound_at bigint,
    window_closed_at bigint,
    first_inbound_event uuid,
    last_event_at bigint NOT NULL,
    merged_into uuid,
    created_at bigint NOT NULL
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX conversations_by_sides ON conversations (account, business, customer_id) WHERE merged_into IS NULL;
CREATE INDEX conversations_of_customer ON conversations (customer_id);
