CREATE TABLE customers (
    id serial PRIMARY KEY,
    email seal.text_search NOT NULL UNIQUE,
    name seal.varchar_ord,
    age seal.int4_ord,
    balance seal.numeric_ord,
    born seal.date_ord,
    tags seal.text_eq[],
    settings seal.jsonb,
    active seal.bool_eq,
    city text
);
CREATE INDEX customers_name_idx ON customers (name);

-- A second table, in the same query.
CREATE TABLE orders (
    id serial PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    item text NOT NULL,
    card seal.text_eq
);
