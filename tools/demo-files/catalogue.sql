-- A furniture shop's catalogue: 200 categories, 4,000 products, 400,000 order lines, 100,000 reviews. The same rows on every run.
SELECT setseed(0.42);

CREATE TABLE categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE products (
  id int PRIMARY KEY,
  category_id int NOT NULL REFERENCES categories,
  name text NOT NULL,
  price_cents int NOT NULL,
  changes int NOT NULL DEFAULT 0  -- how often the shop has changed this row
);
CREATE TABLE order_lines (
  id int PRIMARY KEY,
  order_id int NOT NULL,
  product_id int NOT NULL REFERENCES products,
  quantity int NOT NULL
);
CREATE TABLE reviews (id int PRIMARY KEY, product_id int NOT NULL REFERENCES products, stars int NOT NULL);

INSERT INTO categories
SELECT i, (ARRAY['Oak','Walnut','Steel','Rattan','Glass','Pine','Linen','Marble','Bamboo','Leather'])[1 + (i - 1) % 10] || ' ' ||
  (ARRAY['tables','chairs','lamps','shelves','beds','sofas','desks','mirrors','stools','cabinets',
         'rugs','benches','wardrobes','sideboards','armchairs','clocks','vases','trays','screens','racks'])[1 + (i - 1) / 10]
FROM generate_series(1, 200) AS i;

INSERT INTO products
SELECT i, 1 + (i - 1) % 200,
  (ARRAY['Aalto','Berg','Cala','Dune','Elm','Fjord','Gale','Hygge','Isla','Juno'])[1 + i * 7 % 10] || ' ' || (60 + i % 140) || ' cm',
  (1900 + random() * 180000)::int
FROM generate_series(1, 4000) AS i;

INSERT INTO order_lines
SELECT i, 1 + i / 3, 1 + (random() * 3999)::int, 1 + (random() * 3)::int FROM generate_series(1, 400000) AS i;

INSERT INTO reviews
SELECT i, 1 + (random() * 3999)::int, 1 + (sqrt(random()) * 4)::int FROM generate_series(1, 100000) AS i;

CREATE INDEX ON products (category_id);
CREATE INDEX ON order_lines (product_id);
CREATE INDEX ON order_lines (order_id);
CREATE INDEX ON reviews (product_id);
ANALYZE;
