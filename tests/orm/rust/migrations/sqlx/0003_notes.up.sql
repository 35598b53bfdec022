CREATE TABLE notes (id serial PRIMARY KEY, customer_id int NOT NULL REFERENCES customers (id), body seal.text NOT NULL);
