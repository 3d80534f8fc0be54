-- How often an event came again: only of those that did. The ledger, which counted it, holds a row of every event, and was asked for
-- each that was read. Its column stays: to drop it, the whole ledger would be written anew.
CREATE TABLE repeats (
    event_id text PRIMARY KEY,
    times integer NOT NULL
) STRICT;
INSERT INTO repeats (event_id, times) SELECT event_id, max(duplicates) FROM dedupe WHERE duplicates > 0 GROUP BY event_id;

DROP VIEW event_view;
CREATE VIEW event_view AS
SELECT
    e.id, e.account, e.type, coalesce(c.merged_into, e.conversation_id) AS conversation_id,
    -- The conversation it was stored in, merged or not: what an index finds.
    e.conversation_id AS stored_in,
    e.provider_message_id, e.in_reply_to, e.status, e.error_code, e.callback_data, e.campaign, e.occurred_at, e.received_at,
    b.body,
    coalesce((SELECT r.times FROM repeats r WHERE r.event_id = e.id), 0) AS duplicates,
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

-- With a conversation, what it was merged into: it took a second look at the same row.
DROP VIEW conversation_view;
CREATE VIEW conversation_view AS
SELECT
    c.id, c.account, c.business, c.business_name, c.customer_id, c.last_inbound_at, c.window_closed_at,
    c.first_inbound_event, p.phone, p.user_id, p.name AS customer_name, p.opted_out_at, p.opted_out_by, c.muted_until,
    c.handed_back_at, c.merged_into
FROM conversations c
JOIN customers p ON p.id = c.customer_id;
