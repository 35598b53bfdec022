-- Tables that the objects of the other files use; made through the proxy.
CREATE TABLE users (id int PRIMARY KEY, email seal.text_eq, other seal.text_eq, born seal.date_ord, bio seal.text_search, secret seal.text, name text, age int);
CREATE UNIQUE INDEX users_email_idx ON users (email);
CREATE INDEX users_born_idx ON users (born, id);
CREATE INDEX users_bio_idx ON users USING gin (bio);
CREATE TABLE people (id int PRIMARY KEY, email seal.text_eq, name text);
CREATE TABLE events (id int PRIMARY KEY, at date, title text, counted int DEFAULT 0);
CREATE TABLE notes (id serial PRIMARY KEY, what text);
CREATE TABLE history (id int, email seal.text_eq, other seal.text_eq, born seal.date_ord, bio seal.text_search, secret seal.text, name text, age int);
INSERT INTO users (id, email, other, born, bio, secret, name, age) VALUES (1, 'ann@x', 'ann@x', '1990-01-02', 'hello world', 's', 'Ann', 30), (2, 'bob@x', 'b@x', '1980-01-02', 'good bye', 't', 'Bob', 40);
CREATE TABLE lists (id int, emails seal.text_eq[], births seal.date_ord[]);
INSERT INTO lists VALUES (1, '{ann@x,bob@x}', '{1990-01-02}'), (2, '{ann@x}', NULL);
INSERT INTO people (id, email, name) VALUES (1, 'ann@x', 'Ann'), (2, 'cid@x', 'Cid');
