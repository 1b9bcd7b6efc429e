/*
owner = "product"
description = "People who ordered: on a day, and in the 7 and 30 days that end with it"
partition = "day"

[columns.day]
type = "DATE"
description = "The day in Tokyo"
[columns.daily]
type = "INT64"
description = "Users with an order on that day, cancelled ones left out"
[columns.weekly]
type = "INT64"
description = "The same, of 7 days"
[columns.monthly]
type = "INT64"
description = "The same, of 30 days"
[columns.stickiness]
type = "FLOAT64"
description = "daily / monthly; nothing where there was nobody in 30 days"
*/
SELECT
  %(day)s AS day,
  COUNT(DISTINCT CASE WHEN created_at >= %(day_start)s THEN user_id END) AS daily,
  COUNT(DISTINCT CASE WHEN created_at >= %(day_end)s - INTERVAL 7 DAY THEN user_id END) AS weekly,
  COUNT(DISTINCT user_id) AS monthly,
  COUNT(DISTINCT CASE WHEN created_at >= %(day_start)s THEN user_id END)
    / COUNT(DISTINCT user_id) AS stickiness
FROM orders
WHERE
  created_at >= %(day_end)s - INTERVAL 30 DAY
  AND created_at < %(day_end)s
  AND status <> 'cancelled'
