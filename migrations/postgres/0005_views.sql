-- Rows with what their JSON needs from their neighbours, so that every question reads the same columns.

CREATE VIEW event_view AS
SELECT
    e.id, e.account, e.type, coalesce(c.merged_into, e.conversation_id) AS conversation_id,
    -- The conversation it was stored in, merged or not: what an index finds.
    e.conversation_id AS stored_in,
    e.provider_message_id, e.in_reply_to, e.status, e.error_code, e.callback_data, e.campaign, e.occurred_at, e.received_at,
    b.body,
    (SELECT max(d.duplicates) FROM dedupe d WHERE d.event_id = e.id) AS duplicates,
    (SELECT s.message_id FROM sends s WHERE s.account = e.account AND s.provider_message_id = e.provider_message_id)
        AS message_id,
    (SELECT s.message_id FROM sends s WHERE s.account = e.account AND s.provider_message_id = e.in_reply_to)
        AS replied_message_id,
    c.business, c.business_name, c.customer_id,
    p.phone, p.user_id, p.name AS customer_name
FROM events e
LEFT JOIN bodies b ON b.event_id = e.id
LEFT JOIN conversations c ON c.id = e.conversation_id
LEFT JOIN customers p ON p.id = c.customer_id;

CREATE VIEW conversation_view AS
SELECT
    c.id, c.account, c.business, c.business_name, c.customer_id, c.last_inbound_at, c.window_closed_at,
    c.first_inbound_event, p.phone, p.user_id, p.name AS customer_name, p.opted_out_at
FROM conversations c
JOIN customers p ON p.id = c.customer_id;

-- The newest send speaks for the message.
CREATE VIEW message_view AS
SELECT
    m.id, m.account, m.conversation_id, m.origin, m.content, m.callback_data, m.campaign, m.own_state, m.state, m.error,
    m.confirms_opt_out, m.created_at, m.updated_at,
    s.number, s.kind, s.provider_message_id,
    c.business, c.customer_id, p.phone, p.user_id
FROM messages m
JOIN sends s ON s.message_id = m.id AND s.number = (SELECT max(n.number) FROM sends n WHERE n.message_id = m.id)
LEFT JOIN conversations c ON c.id = m.conversation_id
LEFT JOIN customers p ON p.id = c.customer_id;

-- The database's clock in Unix milliseconds, plus the offset of the instance that asks: leases and due times are compared
-- by one clock, however many instances there are, and a test can move it.
CREATE FUNCTION switchboard_now(offset_ms bigint) RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL SAFE
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + offset_ms $$;
