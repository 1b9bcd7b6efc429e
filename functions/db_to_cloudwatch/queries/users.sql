/*
namespace = "RDS/RECORDS"
unit = "Count"

[dimensions]
RDS = "RECORDS"
*/
SELECT COUNT(*) AS USERS FROM users
