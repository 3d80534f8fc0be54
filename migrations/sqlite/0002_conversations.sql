-- Who is spoken with. `phone` and `user_id` on a customer are the ones in force; `identities` finds the customer by any.

CREATE TABLE customers (
    id text PRIMARY KEY,
    account text NOT NULL,
    phone text,
    user_id text,
    name text,
    opted_out_at integer,
    created_at integer NOT NULL
) STRICT;

CREATE TABLE identities (
    account text NOT NULL,
    kind text NOT NULL,
    value text NOT NULL,
    customer_id text NOT NULL REFERENCES customers (id),
    -- The value first: people ask by it alone.
    PRIMARY KEY (value, kind, account)
) STRICT;

CREATE INDEX identities_of_customer ON identities (customer_id);

-- One customer with one number of the business. The row is the lock under which sequence numbers are handed out, so that
-- jobs of a lane are numbered in the order of their commits.
CREATE TABLE conversations (
    id text PRIMARY KEY,
    account text NOT NULL,
    business text NOT NULL,
    business_name text,
    customer_id text NOT NULL REFERENCES customers (id),
    last_sequence integer NOT NULL DEFAULT 0,
    last_inbound_at integer,
    window_closed_at integer,
    first_inbound_event text,
    last_event_at integer NOT NULL,
    merged_into text,
    created_at integer NOT NULL,
    UNIQUE (account, business, customer_id)
) STRICT;

CREATE INDEX conversations_of_customer ON conversations (customer_id);
