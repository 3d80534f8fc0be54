-- Replies leave before what the API queued, over all conversations and within each: the places of API messages in a lane
-- begin at 2^48, behind every reply. Claims look for either by an index of its own.
CREATE INDEX jobs_replies ON jobs (account, due_at, id)
    WHERE route = '' AND parked_at IS NULL AND NOT blocked AND sequence < 281474976710656;
CREATE INDEX jobs_api_messages ON jobs (account, due_at, id)
    WHERE route = '' AND parked_at IS NULL AND NOT blocked AND sequence >= 281474976710656;
-- What has left and is not settled: at most one send of a lane leaves at a time, and what is never answered is looked for.
CREATE INDEX jobs_under_way ON jobs (lane) WHERE dispatched_at IS NOT NULL AND parked_at IS NULL;

-- Who opted the customer out: `api` or the name that was given there, `route:` and a route's name, or `connectly`.
ALTER TABLE customers ADD COLUMN opted_out_by text;

CREATE OR REPLACE VIEW conversation_view AS
SELECT
    c.id, c.account, c.business, c.business_name, c.customer_id, c.last_inbound_at, c.window_closed_at,
    c.first_inbound_event, p.phone, p.user_id, p.name AS customer_name, p.opted_out_at, p.opted_out_by
FROM conversations c
JOIN customers p ON p.id = c.customer_id;

-- Connectly's `order` of a message that was asked for with one, as JSON.
ALTER TABLE messages ADD COLUMN dispatch_order text;

-- What a send needs: the template that follows once the window is closed, and Connectly's `order`.
CREATE OR REPLACE VIEW message_view AS
SELECT
    m.id, m.account, m.conversation_id, m.origin, m.content, m.callback_data, m.campaign, m.own_state, m.state, m.error,
    m.confirms_opt_out, m.created_at, m.updated_at,
    s.number, s.kind, s.provider_message_id,
    c.business, c.customer_id, p.phone, p.user_id, m.fallback, m.dispatch_order
FROM messages m
JOIN sends s ON s.message_id = m.id AND s.number = (SELECT max(n.number) FROM sends n WHERE n.message_id = m.id)
LEFT JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN customers p ON p.id = c.customer_id;
