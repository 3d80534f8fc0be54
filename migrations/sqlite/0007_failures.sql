-- The failures of a day are counted by when their messages were made: that is not always the order of their ids, since a
-- message of somebody else's is made when we hear of it. Only the few that are not simply on their way stand in it.
CREATE INDEX messages_noted_at ON messages (created_at) WHERE own_state <> 'accepted' OR error IS NOT NULL;
