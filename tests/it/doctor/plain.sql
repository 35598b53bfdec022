-- Objects over plain columns, and what the dry run says of each should users.email become seal.text_eq. "call" is what shows
-- that a function or its trigger fails afterwards, or that it works.
-- make anew: index public.users_email_idx
CREATE INDEX users_email_idx ON users (email);
-- make anew: index public.users_both_idx
CREATE UNIQUE INDEX users_both_idx ON users (name, email);
-- make anew: index public.users_there_idx
CREATE INDEX users_there_idx ON users (id) WHERE email IS NOT NULL;
-- change: index public.users_lower_idx
CREATE INDEX users_lower_idx ON users (lower(email));
-- change: index public.users_pattern_idx
CREATE INDEX users_pattern_idx ON users (email text_pattern_ops);
-- change: index public.users_filled_idx
CREATE INDEX users_filled_idx ON users (id) WHERE email <> '';
-- change: index public.users_words_idx
CREATE INDEX users_words_idx ON users USING gin (to_tsvector('simple', email));
-- change: index public.users_include_idx
CREATE INDEX users_include_idx ON users (id) INCLUDE (email);
-- nothing: index public.users_name_idx
CREATE INDEX users_name_idx ON users (name, age);
-- make anew: constraint users_email_key on public.users
ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email);
-- make anew: constraint users_email_there on public.users
ALTER TABLE users ADD CONSTRAINT users_email_there CHECK (email IS NOT NULL);
-- change: constraint users_email_like on public.users
ALTER TABLE users ADD CONSTRAINT users_email_like CHECK (email LIKE '%@%');
-- change: constraint users_email_long on public.users
ALTER TABLE users ADD CONSTRAINT users_email_long CHECK (length(email) > 3);
-- nothing: constraint users_age on public.users
ALTER TABLE users ADD CONSTRAINT users_age CHECK (age > 0);
-- change: foreign key orders_fk on public.orders
ALTER TABLE orders ADD CONSTRAINT orders_fk FOREIGN KEY (user_email) REFERENCES users (email);
-- change: default public.users.email
ALTER TABLE users ALTER COLUMN email SET DEFAULT 'none@x';
-- change: generated column public.users.domain
ALTER TABLE users ADD COLUMN domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED;
-- nothing: default public.users.age
ALTER TABLE users ALTER COLUMN age SET DEFAULT 5;
-- make anew: view public.v_columns
CREATE VIEW v_columns AS SELECT id, email, name FROM users WHERE email IS NOT NULL;
-- make anew: view public.v_over
CREATE VIEW v_over AS SELECT id, email AS address FROM v_columns;
-- make anew: view public.v_group
CREATE VIEW v_group AS SELECT email, count(*) AS n FROM users GROUP BY email;
-- make anew: view public.v_same
CREATE VIEW v_same AS SELECT u.id FROM users u JOIN users w ON u.email = w.email;
-- make anew: materialized view public.m_columns
CREATE MATERIALIZED VIEW m_columns AS SELECT id, email FROM users;
-- change: view public.v_upper
CREATE VIEW v_upper AS SELECT id, upper(email) AS loud FROM users;
-- change: view public.v_one
CREATE VIEW v_one AS SELECT id FROM users WHERE email = 'ann@x';
-- change: view public.v_label
CREATE VIEW v_label AS SELECT id, name || ' <' || email || '>' AS label FROM users;
-- change: view public.v_whole
CREATE VIEW v_whole AS SELECT id, to_jsonb(u) AS whole FROM users u;
-- change: view public.v_order
CREATE VIEW v_order AS SELECT id FROM users ORDER BY email;
-- change: view public.v_join
CREATE VIEW v_join AS SELECT u.id FROM users u JOIN addresses a ON a.address = u.email;
-- change: view public.v_over_like
CREATE VIEW v_over_like AS SELECT id FROM v_over WHERE address LIKE 'a%';
-- change: materialized view public.m_domain
CREATE MATERIALIZED VIEW m_domain AS SELECT split_part(email, '@', 2) AS domain, count(*) FROM users GROUP BY 1;
-- nothing: view public.v_plain
CREATE VIEW v_plain AS SELECT id, upper(name) AS loud, age FROM users;
-- make anew: policy p_there on public.users
CREATE POLICY p_there ON users USING (email IS NOT NULL);
-- change: policy p_own on public.users
CREATE POLICY p_own ON users USING (email = current_user);
-- nothing: policy p_name on public.users
CREATE POLICY p_name ON users USING (name = current_user);
-- make anew: statistics public.s_email
CREATE STATISTICS s_email ON name, email FROM users;
-- change: statistics public.s_lower
CREATE STATISTICS s_lower ON name, lower(email) FROM users;
-- nothing: statistics public.s_name
CREATE STATISTICS s_name ON name, age FROM users;
-- nothing: function public.t_nothing()
CREATE FUNCTION t_nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
-- make anew: trigger t_changed on public.users
CREATE TRIGGER t_changed BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION t_nothing();
-- make anew: trigger t_of on public.users
CREATE TRIGGER t_of BEFORE UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION t_nothing();
-- change: trigger t_like on public.users
CREATE TRIGGER t_like BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.email LIKE '%@x') EXECUTE FUNCTION t_nothing();
-- change: trigger t_row on public.users
CREATE TRIGGER t_row AFTER UPDATE ON users FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION t_nothing();
-- nothing: trigger t_name on public.users
CREATE TRIGGER t_name BEFORE UPDATE ON users FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION t_nothing();
-- change: function public.f_lower_new()
CREATE FUNCTION f_lower_new() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.email := lower(NEW.email); RETURN NEW; END';
CREATE TRIGGER on_a BEFORE UPDATE OF a ON users FOR EACH ROW EXECUTE FUNCTION f_lower_new();
-- call: UPDATE users SET a = 1
-- change: function public.f_row()
CREATE FUNCTION f_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.* IS DISTINCT FROM NEW.* THEN NEW.age := 7; END IF; RETURN NEW; END';
CREATE TRIGGER on_b BEFORE UPDATE OF b ON users FOR EACH ROW EXECUTE FUNCTION f_row();
-- call: UPDATE users SET b = 1
-- nothing: function public.f_touch()
CREATE FUNCTION f_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.age := coalesce(NEW.age, 0) + 1; NEW.name := upper(NEW.name); RETURN NEW; END';
CREATE TRIGGER on_c BEFORE UPDATE OF c ON users FOR EACH ROW EXECUTE FUNCTION f_touch();
-- call: UPDATE users SET c = 1
-- change: function public.f_find(wanted text)
CREATE FUNCTION f_find(wanted text) RETURNS int LANGUAGE sql AS 'SELECT id FROM users WHERE email = wanted';
-- call: SELECT f_find('ann@x')
-- change: function public.f_one()
CREATE FUNCTION f_one() RETURNS int LANGUAGE sql AS 'SELECT id FROM users WHERE email = ''ann@x''';
-- call: SELECT f_one()
-- nothing: function public.f_name(wanted integer)
CREATE FUNCTION f_name(wanted integer) RETURNS text LANGUAGE sql AS 'SELECT name FROM users WHERE id = wanted';
-- call: SELECT f_name(1)
-- change: function public.f_dynamic(wanted text)
CREATE FUNCTION f_dynamic(wanted text) RETURNS bigint LANGUAGE plpgsql AS 'DECLARE n bigint; BEGIN EXECUTE ''SELECT count(*) FROM '' || wanted INTO n; RETURN n; END';
-- call: SELECT f_dynamic('notes')
-- nothing: function public.f_age(wanted integer)
CREATE FUNCTION f_age(wanted integer) RETURNS int LANGUAGE sql AS 'SELECT age FROM users WHERE id = wanted';
-- call: SELECT f_age(1)
-- nothing: function public.f_notes()
CREATE FUNCTION f_notes() RETURNS text LANGUAGE sql AS 'SELECT upper(what) FROM notes WHERE id > 5';
-- call: SELECT f_notes()
-- change: publication p_filtered of public.users
CREATE PUBLICATION p_filtered FOR TABLE users WHERE (email <> 'x');
-- make anew: publication p_listed of public.users
CREATE PUBLICATION p_listed FOR TABLE users (id, email, name);
-- nothing: publication p_plain of public.orders
CREATE PUBLICATION p_plain FOR TABLE orders WHERE (id > 5);
