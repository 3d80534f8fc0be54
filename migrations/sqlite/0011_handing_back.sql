-- When a conversation was last handed back to the rules: what a person wrote from elsewhere before that silences them no more.
ALTER TABLE conversations ADD COLUMN handed_back_at INTEGER;

DROP VIEW conversation_view;
CREATE VIEW conversation_view AS
SELECT
    c.id, c.account, c.business, c.business_name, c.customer_id, c.last_inbound_at, c.window_closed_at,
    c.first_inbound_event, p.phone, p.user_id, p.name AS customer_name, p.opted_out_at, p.opted_out_by, c.muted_until,
    c.handed_back_at
FROM conversations c
JOIN customers p ON p.id = c.customer_id;
