-- Rows that are changed while they are young: room beside them keeps the change on their page, where no index has to learn of
-- it.
ALTER TABLE jobs SET (fillfactor = 50);
ALTER TABLE conversations SET (fillfactor = 80);
ALTER TABLE messages SET (fillfactor = 70);
ALTER TABLE sends SET (fillfactor = 60);
