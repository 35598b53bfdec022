-- Objects that compare encrypted columns, made through the proxy, which writes terms.
CREATE VIEW t_join AS SELECT u.id, u.email FROM users u JOIN people p ON u.email = p.email;
CREATE VIEW t_group AS SELECT email, count(*) AS n FROM users GROUP BY email;
CREATE VIEW t_distinct AS SELECT DISTINCT email FROM users;
CREATE VIEW t_order AS SELECT id, born FROM users ORDER BY born LIMIT 5;
CREATE VIEW t_max AS SELECT max(born) AS m FROM users;
CREATE VIEW t_min AS SELECT name, min(born) AS m FROM users GROUP BY name;
CREATE VIEW t_union AS SELECT email FROM users UNION SELECT email FROM people;
CREATE VIEW t_distinct_from AS SELECT u.id FROM users u, people p WHERE u.email IS DISTINCT FROM p.email AND u.email IN (SELECT email FROM people);
CREATE VIEW t_lag AS SELECT id, lag(email) OVER (ORDER BY born) AS before FROM users;
CREATE VIEW t_greatest AS SELECT id, greatest(born, born) AS g FROM users;
CREATE MATERIALIZED VIEW t_mat AS SELECT u.id, u.email FROM users u JOIN people p ON u.email = p.email;
CREATE TABLE t_key (email seal.text_eq PRIMARY KEY, id int UNIQUE);
CREATE FUNCTION t_nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE t_when_on (LIKE history);
CREATE TRIGGER t BEFORE UPDATE ON t_when_on FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION t_nothing();
CREATE TRIGGER u BEFORE UPDATE ON t_when_on FOR EACH ROW WHEN (OLD *<> NEW) EXECUTE FUNCTION t_nothing();
CREATE TABLE t_policy_on (LIKE history);
CREATE POLICY t_policy ON t_policy_on USING (email = other);
