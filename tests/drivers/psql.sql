\set VERBOSITY sqlstate
\set text 'O''Brien \\ "quoted" – ü'
INSERT INTO people (id, plain, email, name, age, big, small, ok, price, ratio, born, seen, uid, blob, doc) VALUES
  (1, 'one', 'a@example.com', :'text', 42, 9007199254740993, -7, true, 12.50, 0.1, '1969-07-20', '1969-07-20 20:17:40+00',
   '0d3bb0f6-8b6c-4f0b-9c5e-1d2d3a4b5c6d', '\x00ff10', '{"k": [1, null]}'),
  (2, 'two', 'b@example.com', '', -1, -1, 0, false, 'NaN', '-Infinity', 'infinity', '2024-02-29 23:59:59.999999+00', NULL, '', 'null'),
  (3, 'three', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
\echo == all
SELECT * FROM people ORDER BY id;
\echo == described
SELECT * FROM people WHERE email = 'a@example.com' \gdesc
\echo == by value
SELECT id, name FROM people WHERE name = :'text';
SELECT id FROM people WHERE age = 42 AND ok = true AND price = 12.5 AND born = '1969-07-20' ORDER BY id;
SELECT id FROM people WHERE email IN ('a@example.com', 'b@example.com', 'nobody') ORDER BY id;
SELECT id FROM people WHERE age = ANY ('{42,-1}') ORDER BY id;
SELECT id FROM people WHERE email <> 'a@example.com' ORDER BY id;
SELECT id FROM people WHERE email IS NULL;
SELECT id FROM people WHERE email IS DISTINCT FROM 'a@example.com' ORDER BY id;
\echo == gset
SELECT email AS found FROM people WHERE id = 2 \gset
SELECT id FROM people WHERE email = :'found';
\echo == returning
INSERT INTO people (id, email, age) VALUES (4, 'd@example.com', 4) RETURNING id, email, age, name;
UPDATE people SET email = 'dd@example.com', age = NULL WHERE email = 'd@example.com' RETURNING id, email, age;
DELETE FROM people WHERE email = 'dd@example.com' RETURNING email;
\echo == transaction
BEGIN;
UPDATE people SET name = 'changed' WHERE id = 1;
INSERT INTO people (id, email) VALUES (5, 'a@example.com');
\echo :SQLSTATE
SELECT 1;
\echo :SQLSTATE
ROLLBACK;
SELECT name FROM people WHERE id = 1;
BEGIN;
SAVEPOINT s;
SELECT id FROM people WHERE age = 'not a number';
\echo :SQLSTATE
ROLLBACK TO s;
SELECT id FROM people WHERE age = 42;
COMMIT;
\echo == several in one
BEGIN\; INSERT INTO people (id, email) VALUES (6, 'f@example.com')\; SELECT email FROM people WHERE id = 6\; COMMIT;
SELECT count(*) FROM people;
\echo == reconnect
\connect
SELECT id, email FROM people WHERE email = 'f@example.com';
\echo done
