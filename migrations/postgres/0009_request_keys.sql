-- Keys go with their messages: each step of an erasure asks for those of its own.
CREATE INDEX idempotency_of_message ON idempotency (message_id);
