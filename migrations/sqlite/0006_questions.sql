-- What events and messages are asked for by. Each index ends with the id, so that a page of the newest is read from its end
-- and nothing is sorted.

-- The number of the business that the event is about, beside its conversation: a list of one number's events needs no join.
ALTER TABLE events ADD COLUMN business text;
UPDATE events SET business = c.business FROM conversations c WHERE c.id = events.conversation_id;

CREATE INDEX events_of_account ON events (account, id);
CREATE INDEX events_of_type ON events (type, id);
CREATE INDEX events_of_business ON events (business, id) WHERE business IS NOT NULL;
CREATE INDEX events_of_code ON events (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX events_of_campaign ON events (campaign, id) WHERE campaign IS NOT NULL;

-- Likewise for messages, and why one failed, beside the error's JSON.
ALTER TABLE messages ADD COLUMN business text;
ALTER TABLE messages ADD COLUMN error_code text;
UPDATE messages SET business = c.business FROM conversations c WHERE c.id = messages.conversation_id;
UPDATE messages SET error_code = error ->> 'code' WHERE error IS NOT NULL;

CREATE INDEX messages_of_account ON messages (account, id);
CREATE INDEX messages_of_origin ON messages (origin, id);
CREATE INDEX messages_of_business ON messages (business, id) WHERE business IS NOT NULL;
CREATE INDEX messages_of_code ON messages (error_code, id) WHERE error_code IS NOT NULL;
CREATE INDEX messages_of_campaign ON messages (campaign, id) WHERE campaign IS NOT NULL;
-- The few that are not simply on their way. Not by `state`: it changes with every status, and an index on it would be
-- written as often.
CREATE INDEX messages_of_note ON messages (id) WHERE own_state <> 'accepted' OR error IS NOT NULL;

-- Where each value of callback data is found: a digest of its path and text, and the event or message that carries it.
CREATE TABLE callback_keys (
    key blob NOT NULL,
    id text NOT NULL,
    PRIMARY KEY (key, id)
) STRICT, WITHOUT ROWID;
