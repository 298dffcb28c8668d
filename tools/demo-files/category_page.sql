-- What a category's page shows: its ten best sellers with their stars, and what else their buyers ordered. One row, one JSON text.
WITH sold AS (
  SELECT p.id, p.name, p.price_cents, sum(l.quantity) AS units, sum(l.quantity * p.price_cents) AS revenue
  FROM products p JOIN order_lines l ON l.product_id = p.id
  WHERE p.category_id = $1 GROUP BY p.id
), rated AS (
  SELECT p.id, round(avg(r.stars), 2) AS stars, count(*) AS reviews
  FROM products p JOIN reviews r ON r.product_id = p.id
  WHERE p.category_id = $1 GROUP BY p.id
), also AS (
  SELECT c.name, count(*) AS orders
  FROM products mine
  JOIN order_lines a ON a.product_id = mine.id
  JOIN order_lines b ON b.order_id = a.order_id
  JOIN products theirs ON theirs.id = b.product_id AND theirs.category_id <> mine.category_id
  JOIN categories c ON c.id = theirs.category_id
  WHERE mine.category_id = $1 GROUP BY c.name
), best AS (
  SELECT * FROM sold LEFT JOIN rated USING (id) ORDER BY revenue DESC, id LIMIT 10
)
SELECT json_build_object(
  'changes', (SELECT sum(changes) FROM products WHERE category_id = $1),
  'category', (SELECT name FROM categories WHERE id = $1),
  'best_sellers', (SELECT json_agg(best ORDER BY revenue DESC, id) FROM best),
  'also_bought', (SELECT json_agg(t.name ORDER BY t.orders DESC, t.name) FROM (SELECT * FROM also ORDER BY orders DESC, name LIMIT 5) t)
)::text
