/*
owner = "growth"
description = "People who registered on a day, and all there were at its end"
partition = "day"

[columns.day]
type = "DATE"
description = "The day in Tokyo"
[columns.registrations]
type = "INT64"
description = "Users who registered on that day"
[columns.users]
type = "INT64"
description = "All users at the end of that day"
*/
SELECT
  %(day)s AS day,
  COUNT(CASE WHEN created_at >= %(day_start)s THEN 1 END) AS registrations,
  COUNT(*) AS users
FROM users
WHERE created_at < %(day_end)s
