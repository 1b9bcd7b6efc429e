/*
title = { ja = "注文一覧", en = "Orders" }

[parameters]
first = "date"
last = "date"
status = "text"

[columns]
id = "注文番号"
name = "氏名"
status = "状態"
amount = "金額 (円)"
created_at = "注文日時 (UTC)"
*/
SELECT orders.id, users.name, orders.status, orders.amount, orders.created_at
FROM orders
JOIN users ON users.id = orders.user_id
WHERE
  orders.created_at >= %(first)s
  AND orders.created_at < %(last)s + INTERVAL 1 DAY
  AND orders.status = %(status)s
