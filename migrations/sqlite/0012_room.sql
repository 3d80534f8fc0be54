-- PostgreSQL leaves room beside young rows; SQLite changes a row where it is, and has nothing to set.
SELECT 1;
