ALTER TABLE customers ADD COLUMN phone seal.text_search;
CREATE UNIQUE INDEX customers_city_phone_idx ON customers (city, phone);
