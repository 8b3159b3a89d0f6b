-- An order: a customer (few of them order often), a stock that is taken from, and, for one order in
-- ten, a look at the last ones. Make the tables with --init docs/scripts/orders-tables.sql.
\set customer random_zipfian(1, 10000, 1.2)
\set item permute(random(0, 999), 1000, 7) + 1
\set count 1 + random(0, 4)
BEGIN;
UPDATE stock SET left_over = left_over - :count WHERE item = :item;
INSERT INTO orders (customer, item, count) VALUES (:customer, :item, :count);
COMMIT;
\if :count > 4
SELECT item, count FROM orders WHERE customer = :customer ORDER BY id DESC LIMIT 10;
\endif
