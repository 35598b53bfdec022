-- Tables of plain columns, one of which is to be encrypted: {email} is its type.
CREATE TABLE users (id int PRIMARY KEY, email {email}, name text, age int, a int, b int, c int);
CREATE TABLE addresses (address text CONSTRAINT addresses_key UNIQUE);
CREATE TABLE orders (id int PRIMARY KEY, user_email text, total int);
CREATE TABLE notes (id serial PRIMARY KEY, what text);
