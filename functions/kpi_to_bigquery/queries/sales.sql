/*
owner = "growth"
description = "Orders and sales of a day, by what became of them"
partition = "day"

[columns.day]
type = "DATE"
description = "The day in Tokyo on which it was ordered"
[columns.status]
type = "STRING"
description = "pending, paid, shipped or cancelled, as it was when this was counted"
[columns.orders]
type = "INT64"
description = "Number of orders"
[columns.sales]
type = "NUMERIC"
description = "Their amount, in yen"
*/
SELECT %(day)s AS day, status, COUNT(*) AS orders, SUM(amount) AS sales
FROM orders
WHERE created_at >= %(day_start)s AND created_at < %(day_end)s
GROUP BY status
