CREATE TABLE stock (item integer PRIMARY KEY, left_over bigint NOT NULL);
INSERT INTO stock SELECT item, 1000000 FROM generate_series(1, 1000) AS item;
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer integer NOT NULL,
    item integer NOT NULL REFERENCES stock,
    count integer NOT NULL
);
CREATE INDEX orders_customer ON orders (customer, id DESC);
