/*
# Today's orders and sales; today begins at midnight in Tokyo, `created_at` is in UTC.
namespace = "RDS/ORDERS"
timeout = 20

[dimensions]
RDS = "ORDERS"
*/
SELECT
  COUNT(*) AS ORDERS,
  COALESCE(SUM(amount), 0) AS SALES
FROM orders
WHERE
  status <> 'cancelled'
  AND created_at >= DATE(UTC_TIMESTAMP() + INTERVAL 9 HOUR) - INTERVAL 9 HOUR
