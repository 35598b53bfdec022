-- Objects that break or mislead over encrypted columns, made past the proxy. Each begins with what doctor calls it.
-- fault: index public.b_on_itself
CREATE TABLE b_index_on (LIKE history); CREATE INDEX b_on_itself ON b_index_on (email);
-- fault: index public.b_unique_itself
CREATE UNIQUE INDEX b_unique_itself ON b_index_on (id, email);
-- fault: index public.b_hash_itself
CREATE INDEX b_hash_itself ON users (name, other);
-- fault: index public.b_constraint_key
CREATE TABLE b_constraint (id int, email seal.text_eq, CONSTRAINT b_constraint_key UNIQUE (email));
-- fault: index public.b_pk_pkey
CREATE TABLE b_pk (email seal.text_eq PRIMARY KEY);
-- fault: index public.b_ciphertext_unique
CREATE UNIQUE INDEX b_ciphertext_unique ON people (((email).c));
-- warning: index public.b_ciphertext
CREATE INDEX b_ciphertext ON people (((email).c));
-- warning: index public.b_wrong_term
CREATE INDEX b_wrong_term ON users (((born).eq));
-- warning: index public.b_match_btree
CREATE INDEX b_match_btree ON users (((bio).m));
-- fault: view public.b_text
CREATE VIEW b_text AS SELECT id, email::text AS address FROM users;
-- fault: view public.b_upper
CREATE VIEW b_upper AS SELECT id, upper(email::text) AS address FROM users;
-- fault: view public.b_over_text
CREATE VIEW b_over_text AS SELECT id, address FROM b_text WHERE id < 100;
-- fault: view public.b_where_text
CREATE VIEW b_where_text AS SELECT id, name FROM users WHERE email::text = 'ann@x';
-- fault: view public.b_join_records
CREATE VIEW b_join_records AS SELECT u.id FROM users u JOIN people p ON u.email = p.email;
-- fault: view public.b_distinct_from
CREATE VIEW b_distinct_from AS SELECT id FROM users WHERE email IS DISTINCT FROM other;
-- fault: view public.b_json
CREATE VIEW b_json AS SELECT id, row_to_json(u) AS whole FROM users u;
-- fault: view public.b_row
CREATE VIEW b_row AS SELECT u FROM users u;
-- fault: view public.b_concat
CREATE VIEW b_concat AS SELECT id, concat(name, ' ', email) AS label FROM users;
-- fault: view public.b_attribute
CREATE VIEW b_attribute AS SELECT id, (email).c AS c FROM users;
-- fault: materialized view public.b_mat
CREATE MATERIALIZED VIEW b_mat AS SELECT id, lower(secret::text) AS secret FROM users;
-- fault: materialized view public.b_mat_records
CREATE MATERIALIZED VIEW b_mat_records AS SELECT count(*) FROM users WHERE email::text LIKE 'ann%';
-- fault: function public.b_text(twice integer)
CREATE FUNCTION b_text(twice int) RETURNS int LANGUAGE sql AS 'SELECT twice * 2';
-- call: SELECT b_text(1)
-- fault: function public.b_lower(wanted text)
CREATE FUNCTION b_lower(wanted text) RETURNS int LANGUAGE sql AS 'SELECT id FROM users WHERE lower(email::text) = lower(wanted)';
-- call: SELECT b_lower('ANN@x')
-- fault: function public.b_variable(wanted integer)
CREATE FUNCTION b_variable(wanted int) RETURNS int LANGUAGE plpgsql AS 'DECLARE v seal.text_eq; BEGIN SELECT email INTO v FROM users WHERE id = wanted; RETURN wanted; END';
-- call: SELECT b_variable(1)
-- fault: function public.b_loop()
CREATE FUNCTION b_loop() RETURNS int LANGUAGE plpgsql AS 'DECLARE v seal.text_eq; n int := 0; BEGIN FOR v IN SELECT email FROM users LOOP n := n + 1; END LOOP; RETURN n; END';
-- call: SELECT b_loop()
-- fault: function public.b_dynamic(wanted text)
CREATE FUNCTION b_dynamic(wanted text) RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE format(''SELECT count(*) FROM %I'', wanted) INTO n; RETURN n; END';
-- call: SELECT b_dynamic('notes')
-- fault: function public.b_gives_text(wanted integer)
CREATE FUNCTION b_gives_text(wanted int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT email FROM users WHERE id = wanted); END';
-- call: SELECT b_gives_text(1)
-- fault: function public.b_finds(wanted integer)
CREATE FUNCTION b_finds(wanted int) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM users WHERE email = ''ann@x'' AND id = wanted); END';
-- call: SELECT b_finds(1)
-- fault: function public.b_outer(wanted text)
CREATE FUNCTION b_outer(wanted text) RETURNS int LANGUAGE plpgsql AS 'DECLARE n int; BEGIN n := b_lower(wanted); RETURN n; END';
-- call: SELECT b_outer('ann@x')
-- fault: function public.b_row_of(wanted integer)
CREATE FUNCTION b_row_of(wanted int) RETURNS SETOF people LANGUAGE sql AS 'SELECT * FROM people WHERE id = wanted';
-- call: SELECT * FROM b_row_of(1)
-- call: SELECT b_row_of(1)
-- fault: function public.b_list(wanted integer)
CREATE FUNCTION b_list(wanted int) RETURNS seal.text_eq[] LANGUAGE sql AS 'SELECT array_agg(email) FROM people WHERE id = wanted';
-- call: SELECT b_list(1)
-- fault: function public.b_kept(wanted integer)
CREATE FUNCTION b_kept(wanted int) RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM users WHERE age > 20 AND id = wanted);
-- call: SELECT b_kept(1)
-- fault: function public.b_alike(a integer)
CREATE FUNCTION b_alike(a int) RETURNS seal.text_eq LANGUAGE sql AS 'SELECT email FROM users WHERE id = a';
-- fault: function public.b_alike(a date)
CREATE FUNCTION b_alike(a date) RETURNS seal.text_eq LANGUAGE sql AS 'SELECT u.email FROM users u JOIN events e ON e.id = u.id WHERE e.at = a';
-- call: SELECT b_alike(1)
-- call: SELECT b_alike(at) FROM events
-- call: SELECT b_alike(id) FROM people
-- fault: procedure public.b_procedure(IN who integer)
CREATE PROCEDURE b_procedure(who int) LANGUAGE plpgsql AS 'BEGIN UPDATE users SET email = ''x@x'' WHERE id = who; END';
-- call: CALL b_procedure(1)
-- fault: function public.b_no_path(wanted seal.text_eq)
CREATE FUNCTION b_no_path(wanted seal.text_eq) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM users u WHERE u.email = wanted); END';
-- call: SELECT b_no_path('ann@x')
-- fault: function public.b_into(OUT mail seal.text_eq)
CREATE FUNCTION b_into(OUT mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN SELECT u.email INTO mail FROM users u; END';
-- call: SELECT b_into()
-- fault: function public.b_query()
CREATE FUNCTION b_query() RETURNS TABLE (mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT u.email FROM users u; END';
-- call: SELECT b_query()
-- call: SELECT * FROM b_query()
-- fault: function public.b_next(wanted integer)
CREATE FUNCTION b_next(wanted int) RETURNS TABLE (uid int, mail seal.text_eq) LANGUAGE plpgsql AS 'BEGIN uid := wanted; SELECT u.email INTO mail FROM users u WHERE u.id = wanted; RETURN NEXT; END';
-- call: SELECT * FROM b_next(1)
-- fault: function public.b_unnamed(integer)
CREATE FUNCTION b_unnamed(int) RETURNS int LANGUAGE plpgsql AS 'DECLARE v seal.text_eq; BEGIN SELECT u.email INTO v FROM users u WHERE u.id = $1; RETURN $1; END';
-- call: SELECT b_unnamed(1)
-- fault: function public.b_opens()
CREATE FUNCTION b_opens() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE c refcursor; BEGIN OPEN c FOR SELECT u.id FROM users u ORDER BY u.born; FETCH c INTO NEW.age; CLOSE c; RETURN NEW; END';
CREATE TABLE b_opens_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_opens_on FOR EACH ROW EXECUTE FUNCTION b_opens();
-- warning: function public.b_unread()
CREATE SCHEMA b_hidden; CREATE TYPE b_hidden.pair AS (a int, b int);
SET search_path = public, b_hidden;
CREATE FUNCTION b_unread() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE p pair; BEGIN p.a := 1; RETURN NEW; END';
RESET search_path;
CREATE TABLE b_unread_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_unread_on FOR EACH ROW EXECUTE FUNCTION b_unread();
-- fault: function public.b_row_changed()
CREATE FUNCTION b_row_changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.* IS DISTINCT FROM NEW.* THEN NEW.age := 1; END IF; RETURN NEW; END';
CREATE TABLE b_row_changed_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_row_changed_on FOR EACH ROW EXECUTE FUNCTION b_row_changed();
-- fault: function public.b_row_equal()
CREATE FUNCTION b_row_equal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW = OLD THEN
    RETURN NULL;
  END IF;
  RETURN NEW;
END $$;
CREATE TABLE b_row_equal_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_row_equal_on FOR EACH ROW EXECUTE FUNCTION b_row_equal();
-- fault: function public.b_lower_new()
CREATE FUNCTION b_lower_new() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := lower(NEW.email); RETURN NEW; END';
CREATE TABLE b_lower_new_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_lower_new_on FOR EACH ROW EXECUTE FUNCTION b_lower_new();
-- fault: function public.b_changed_email()
CREATE FUNCTION b_changed_email() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.email IS DISTINCT FROM OLD.email THEN NEW.age := 0; END IF; RETURN NEW; END';
CREATE TABLE b_changed_email_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_changed_email_on FOR EACH ROW EXECUTE FUNCTION b_changed_email();
-- fault: function public.b_select_into()
CREATE FUNCTION b_select_into() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE v seal.text_eq; BEGIN SELECT u.email INTO v FROM users u WHERE u.id = NEW.id; NEW.other := v; RETURN NEW; END';
CREATE TABLE b_select_into_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_select_into_on FOR EACH ROW EXECUTE FUNCTION b_select_into();
-- fault: function public.b_for_in()
CREATE FUNCTION b_for_in() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE v seal.text_eq; BEGIN FOR v IN SELECT u.email FROM users u LOOP NEW.other := v; END LOOP; RETURN NEW; END';
CREATE TABLE b_for_in_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_for_in_on FOR EACH ROW EXECUTE FUNCTION b_for_in();
-- fault: function public.b_compare_value()
CREATE FUNCTION b_compare_value() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.email = ''root@x'' THEN RAISE EXCEPTION ''no''; END IF; RETURN NEW; END';
CREATE TABLE b_compare_value_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_compare_value_on FOR EACH ROW EXECUTE FUNCTION b_compare_value();
-- fault: function public.b_set_value()
CREATE FUNCTION b_set_value() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.secret := ''none''; RETURN NEW; END';
CREATE TABLE b_set_value_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_set_value_on FOR EACH ROW EXECUTE FUNCTION b_set_value();
-- fault: function public.b_plain_into()
CREATE FUNCTION b_plain_into() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO people (id, email) VALUES (NEW.id + 1000, NEW.title); RETURN NEW; END';
CREATE TABLE b_plain_into_on (LIKE events); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_plain_into_on FOR EACH ROW EXECUTE FUNCTION b_plain_into();
-- fault: function public.b_audit()
CREATE FUNCTION b_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO notes (what) VALUES (to_jsonb(NEW)::text); RETURN NEW; END';
CREATE TABLE b_audit_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_audit_on FOR EACH ROW EXECUTE FUNCTION b_audit();
-- fault: function public.b_variable_text()
CREATE FUNCTION b_variable_text() RETURNS trigger LANGUAGE plpgsql AS 'DECLARE v text; BEGIN v := NEW.email; INSERT INTO notes (what) VALUES (v); RETURN NEW; END';
CREATE TABLE b_variable_text_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_variable_text_on FOR EACH ROW EXECUTE FUNCTION b_variable_text();
-- fault: function public.b_sorts()
CREATE FUNCTION b_sorts() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.born := (SELECT u.born FROM users u ORDER BY u.born LIMIT 1); RETURN NEW; END';
CREATE TABLE b_sorts_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_sorts_on FOR EACH ROW EXECUTE FUNCTION b_sorts();
-- warning: function public.b_executes()
CREATE FUNCTION b_executes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN EXECUTE ''INSERT INTO notes (what) VALUES ($1)'' USING NEW.name; RETURN NEW; END';
CREATE TABLE b_executes_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_executes_on FOR EACH ROW EXECUTE FUNCTION b_executes();
-- fault: trigger t on public.b_when_on
CREATE FUNCTION b_marks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.age := 99; RETURN NEW; END';
CREATE TABLE b_when_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_when_on FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION b_marks();
-- fault: trigger t on public.b_when_column_on
CREATE TABLE b_when_column_on (LIKE history); CREATE TRIGGER t BEFORE UPDATE ON b_when_column_on FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION b_marks();
-- fault: trigger t on public.b_when_text_on
CREATE TABLE b_when_text_on (LIKE history); CREATE TRIGGER t BEFORE INSERT OR UPDATE ON b_when_text_on FOR EACH ROW WHEN (NEW.email::text LIKE '%@x') EXECUTE FUNCTION b_marks();
-- fault: policy b_policy on public.b_policy_on
CREATE TABLE b_policy_on (LIKE history); CREATE POLICY b_policy ON b_policy_on USING (email::text = current_user);
-- fault: policy b_policy_two on public.b_policy_on
CREATE POLICY b_policy_two ON b_policy_on USING (email = other);
-- fault: constraint b_check on public.b_check_on
CREATE TABLE b_check_on (LIKE history, CONSTRAINT b_check CHECK (length(email::text) > 3));
-- fault: constraint b_check_two on public.b_check_two_on
CREATE TABLE b_check_two_on (LIKE history, CONSTRAINT b_check_two CHECK (email <> other));
-- fault: generated column public.b_generated_on.domain
CREATE TABLE b_generated_on (LIKE history, domain uuid GENERATED ALWAYS AS ((email).eq) STORED);
-- fault: default public.b_default_on.email
CREATE TABLE b_default_on (id int, email seal.text_eq DEFAULT ROW('1', '\x00', '00000000-0000-0000-0000-000000000000')::seal.text_eq);
-- fault: foreign key b_fk on public.b_fk_on
-- fault: index public.b_fk_to_key
CREATE TABLE b_fk_to (email seal.text_eq CONSTRAINT b_fk_to_key UNIQUE);
CREATE TABLE b_fk_on (email seal.text_eq, CONSTRAINT b_fk FOREIGN KEY (email) REFERENCES b_fk_to (email));
-- fault: partition key public.b_parted
CREATE TABLE b_parted (id int, email seal.text_eq) PARTITION BY LIST (email);
-- fault: index public.b_array_itself
CREATE TABLE b_array_on (id int, emails seal.text_eq[]); CREATE INDEX b_array_itself ON b_array_on (emails);
-- fault: index public.b_array_unique_key
CREATE TABLE b_array_unique_on (id int, emails seal.text_eq[], CONSTRAINT b_array_unique_key UNIQUE (emails));
-- fault: default public.b_array_default_on.emails
CREATE TABLE b_array_default_on (id int, emails seal.text_eq[] DEFAULT '{}');
-- fault: view public.b_array_same
CREATE VIEW b_array_same AS SELECT a.id FROM lists a JOIN lists b ON a.emails = b.emails;
-- fault: view public.b_array_text
CREATE VIEW b_array_text AS SELECT id, emails::text AS emails FROM lists;
-- fault: view public.b_array_count
CREATE VIEW b_array_count AS SELECT id, cardinality(emails) AS n FROM lists;
-- fault: view public.b_array_any
CREATE VIEW b_array_any AS SELECT p.id FROM lists a JOIN people p ON p.email = ANY (a.emails);
-- fault: function public.b_array_changed()
CREATE FUNCTION b_array_changed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.emails IS DISTINCT FROM OLD.emails THEN NEW.id := 0; END IF; RETURN NEW; END';
CREATE TABLE b_array_changed_on (LIKE b_array_on); CREATE TRIGGER t BEFORE UPDATE ON b_array_changed_on FOR EACH ROW EXECUTE FUNCTION b_array_changed();
-- fault: domain public.b_list_domain
-- fault: column public.b_list_domain_on.emails
CREATE DOMAIN b_list_domain AS seal.text_eq[]; CREATE TABLE b_list_domain_on (id int, emails b_list_domain);
-- fault: domain public.b_domain
-- fault: column public.b_domain_on.email
CREATE DOMAIN b_domain AS seal.text_eq; CREATE TABLE b_domain_on (id int, email b_domain);
-- fault: composite type public.b_composite
-- fault: column public.b_composite_on.pair
CREATE TYPE b_composite AS (a int, e seal.text_eq); CREATE TABLE b_composite_on (id int, pair b_composite);
-- warning: rule b_rule on public.b_rule_on
CREATE TABLE b_rule_on (LIKE history); CREATE RULE b_rule AS ON DELETE TO b_rule_on DO ALSO INSERT INTO history SELECT OLD.*;
-- warning: statistics public.b_statistics
CREATE STATISTICS b_statistics ON id, ((email).c) FROM people;
-- fault: publication b_published of public.b_published_on
CREATE TABLE b_published_on (id int, email seal.text_eq NOT NULL); CREATE UNIQUE INDEX b_published_on_pkey ON b_published_on (((email).eq)); CREATE PUBLICATION b_published FOR TABLE b_published_on;
-- warning: publication b_published_full of public.b_published_full_on
CREATE TABLE b_published_full_on (id int, email seal.text_eq); ALTER TABLE b_published_full_on REPLICA IDENTITY FULL; CREATE PUBLICATION b_published_full FOR TABLE b_published_full_on;
-- warning: column public.b_beside_on.email_plain
CREATE TABLE b_beside_on (id int, email seal.text_eq, email_plain text);
-- warning: column public.people_old.email
CREATE TABLE people_old (id int, email text);
