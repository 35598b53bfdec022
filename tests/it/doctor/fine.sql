-- Objects that work over encrypted columns, or beside them, made past the proxy.
CREATE INDEX f_term ON people (((email).eq));
CREATE INDEX f_beside ON people (name, id);
CREATE VIEW f_plain AS SELECT id, name, upper(name) AS loud FROM users WHERE age > 10;
CREATE VIEW f_columns AS SELECT u.id, u.email, u.born, coalesce(u.email, u.other) AS either FROM users u WHERE u.email IS NOT NULL;
CREATE VIEW f_over AS SELECT id, email FROM f_columns;
CREATE VIEW f_count AS SELECT count(email) AS n, max(age) AS oldest FROM users;
CREATE VIEW f_events AS SELECT date_trunc('day', at) AS day, count(*) FROM events GROUP BY 1;
CREATE FUNCTION f_move(wanted int) RETURNS seal.text_eq LANGUAGE sql AS 'SELECT email FROM users WHERE id = wanted';
-- call: SELECT f_move(1)
CREATE FUNCTION f_find(wanted seal.text_eq) RETURNS bigint LANGUAGE sql SET search_path = public, seal AS 'SELECT count(*) FROM users u WHERE u.email = wanted';
-- call: SELECT f_find('ann@x')
CREATE FUNCTION f_find_too(wanted seal.text_eq) RETURNS bigint LANGUAGE plpgsql SET search_path = public, seal AS 'BEGIN RETURN (SELECT count(*) FROM users u WHERE u.email = wanted); END';
-- call: SELECT f_find_too('ann@x')
CREATE PROCEDURE f_put(p_id int, p_email seal.text_eq) LANGUAGE sql AS 'INSERT INTO people (id, email) VALUES (p_id, p_email)';
-- call: CALL f_put(9, 'z@x')
CREATE FUNCTION f_table(wanted int) RETURNS TABLE (uid int, mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT u.id, u.email FROM users u WHERE u.id = wanted; END';
-- call: SELECT * FROM f_table(1)
CREATE FUNCTION f_only(wanted int, OUT mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN mail := (SELECT u.email FROM users u WHERE u.id = wanted); END';
-- call: SELECT f_only(1)
-- call: SELECT * FROM f_only(1)
CREATE FUNCTION f_mails() RETURNS TABLE (mail seal.text_eq) LANGUAGE sql AS 'SELECT u.email FROM users u';
-- call: SELECT f_mails()
-- call: SELECT * FROM f_mails()
CREATE FUNCTION f_only_name(wanted int, OUT loud text) LANGUAGE plpgsql AS 'BEGIN SELECT upper(u.name) INTO loud FROM users u WHERE u.id = wanted; END';
-- call: SELECT f_only_name(1)
-- call: SELECT * FROM f_only_name(1)
CREATE FUNCTION f_next(wanted int) RETURNS TABLE (uid int, mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN uid := wanted; mail := (SELECT u.email FROM users u WHERE u.id = wanted); RETURN NEXT; END';
-- call: SELECT * FROM f_next(1)
CREATE FUNCTION f_unnamed(int) RETURNS seal.text_eq LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT u.email FROM users u WHERE u.id = $1); END';
-- call: SELECT f_unnamed(1)
CREATE FUNCTION f_literal() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users WHERE name = ''Ann''';
-- call: SELECT f_literal()
CREATE FUNCTION f_number(wanted int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users WHERE age > 20 AND id = wanted';
-- call: SELECT f_number(1)
CREATE FUNCTION f_gives_name(wanted int) RETURNS text LANGUAGE plpgsql AS 'DECLARE n text; BEGIN SELECT upper(u.name) INTO n FROM users u WHERE u.id = wanted; RETURN n || ''!''; END';
-- call: SELECT f_gives_name(1)
CREATE FUNCTION f_variables(a int, b int) RETURNS int LANGUAGE plpgsql AS 'DECLARE x seal.text_eq; y users.email%TYPE; r record; n int := 0; BEGIN x := (SELECT u.email FROM users u WHERE u.id = a); y := f_move(b); UPDATE people SET email = coalesce(y, x) WHERE people.id = a; FOR r IN SELECT u.id, u.email FROM users u WHERE u.id < 100 LOOP CONTINUE WHEN r.email IS NULL; x := r.email; n := n + 1; END LOOP; RETURN n; END';
-- call: SELECT f_variables(1, 2)
CREATE FUNCTION f_same_name(seal.text_eq) RETURNS seal.text_eq LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION f_same_name(seal.date_ord) RETURNS seal.date_ord LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION f_same_name(a int, b text DEFAULT 'x') RETURNS text LANGUAGE sql AS 'SELECT b || a';
-- call: SELECT f_same_name(email), f_same_name(born), f_same_name(id), f_same_name(id, name) FROM users
CREATE PROCEDURE f_procedure(who int) LANGUAGE sql AS 'UPDATE people SET name = ''x'' WHERE id = who';
-- call: CALL f_procedure(1)
CREATE FUNCTION f_plainly(a int, b text) RETURNS text LANGUAGE plpgsql AS 'DECLARE v text := upper(b); n int; BEGIN SELECT count(*) INTO n FROM events WHERE title = v; FOR n IN SELECT id FROM events LOOP v := v || n; END LOOP; RETURN v || a; END';
-- call: SELECT f_plainly(1, 'a')
CREATE FUNCTION f_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.age := coalesce(NEW.age, 0) + 1; NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TABLE f_touch_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON f_touch_on FOR EACH ROW EXECUTE FUNCTION f_touch();
CREATE FUNCTION f_image() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD *<> NEW THEN NEW.age := 1; END IF; RETURN NEW; END';
CREATE TABLE f_image_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON f_image_on FOR EACH ROW EXECUTE FUNCTION f_image();
CREATE FUNCTION f_copy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.other := NEW.email; IF NEW.secret IS NULL THEN NEW.bio := NULL; END IF; RETURN NEW; END';
CREATE TABLE f_copy_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON f_copy_on FOR EACH ROW EXECUTE FUNCTION f_copy();
CREATE FUNCTION f_history() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO history VALUES (NEW.*); INSERT INTO history SELECT NEW.*; INSERT INTO history (id, email) VALUES (NEW.id, NEW.email); RETURN NULL; END';
CREATE TABLE f_history_on (LIKE history); CREATE TRIGGER t AFTER INSERT OR UPDATE ON f_history_on FOR EACH ROW EXECUTE FUNCTION f_history();
CREATE FUNCTION f_compared() RETURNS trigger LANGUAGE plpgsql SET search_path = public, seal AS 'BEGIN IF NEW.email IS DISTINCT FROM OLD.email OR NEW.born > OLD.born THEN NEW.age := 0; END IF; RETURN NEW; END';
CREATE TABLE f_compared_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON f_compared_on FOR EACH ROW EXECUTE FUNCTION f_compared();
CREATE FUNCTION f_assigned() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v seal.text_eq;
  r record;
  u users%ROWTYPE;
  n int;
BEGIN
  v := (SELECT u2.email FROM users u2 WHERE u2.id = NEW.id);
  SELECT * INTO u FROM users u3 WHERE u3.id = NEW.id;
  SELECT u4.id, u4.email INTO r FROM users u4 WHERE u4.id = NEW.id;
  SELECT count(*) INTO n FROM users;
  FOR r IN SELECT u5.id, u5.email FROM users u5 LOOP
    NEW.other := r.email;
  END LOOP;
  NEW.email := coalesce(v, u.email, NEW.email);
  IF TG_OP = 'INSERT' AND n > 5 THEN
    RAISE NOTICE 'many: %', n;
  END IF;
  RETURN NEW;
END $$;
CREATE TABLE f_assigned_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON f_assigned_on FOR EACH ROW EXECUTE FUNCTION f_assigned();
CREATE FUNCTION f_events() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE n int; BEGIN IF OLD.* IS DISTINCT FROM NEW.* AND NEW.title <> ''x'' THEN SELECT count(*) INTO n FROM events; NEW.counted := n; INSERT INTO notes (what) VALUES (to_jsonb(NEW)::text); END IF; RETURN NEW; END';
CREATE TRIGGER t BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION f_events();
CREATE TRIGGER f_when BEFORE UPDATE ON f_touch_on FOR EACH ROW WHEN (NEW.age > 5 AND NEW.email IS NOT NULL) EXECUTE FUNCTION f_touch();
CREATE TABLE f_policy_on (LIKE history); CREATE POLICY f_policy ON f_policy_on USING (name = current_user AND email IS NOT NULL);
CREATE TABLE f_check_on (LIKE history, CONSTRAINT f_check CHECK (age > 0), CONSTRAINT f_check_null CHECK (email IS NOT NULL));
CREATE TABLE f_default_on (id int DEFAULT 5, email seal.text_eq DEFAULT NULL, made timestamptz DEFAULT now());
CREATE TABLE f_generated_on (LIKE history, loud text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE f_fk_on (id int REFERENCES users (id), email seal.text_eq);
CREATE TABLE f_parted (id int, email seal.text_eq) PARTITION BY RANGE (id);
CREATE TABLE f_parted_1 PARTITION OF f_parted FOR VALUES FROM (1) TO (100);
CREATE TABLE f_lists (id int, email seal.text_eq, emails seal.text_eq[] DEFAULT NULL, births seal.date_ord[]);
CREATE INDEX f_lists_ids ON f_lists (id);
CREATE VIEW f_lists_seen AS SELECT id, emails, emails[1] AS first, births[1:2] AS two FROM f_lists WHERE emails IS NOT NULL;
CREATE VIEW f_lists_made AS SELECT name, array_agg(email) AS emails FROM users GROUP BY name;
CREATE FUNCTION f_lists_move() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.emails IS NULL THEN NEW.emails := ARRAY[NEW.email]; NEW.email := NULL; ELSE NEW.email := NEW.emails[1]; END IF; RETURN NEW; END';
CREATE TABLE f_lists_on (LIKE f_lists); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON f_lists_on FOR EACH ROW EXECUTE FUNCTION f_lists_move();
CREATE STATISTICS f_statistics ON id, name FROM people;
CREATE STATISTICS f_statistics_term ON id, ((email).eq) FROM people;
CREATE PUBLICATION f_published FOR TABLE people;
CREATE TYPE f_type AS (a int, b text); CREATE DOMAIN f_domain AS text CHECK (VALUE <> '');
CREATE TABLE f_beside_on (id int, email seal.text_eq, email_verified boolean, email_id int);
CREATE TABLE users_extra (id int, note text);
