/*
title = { ja = "利用者一覧", en = "Users" }
key = "id"

[parameters]
since = "date"

[columns]
id = "ID"
name = "氏名"
email = "メールアドレス"
created_at = "登録日時 (UTC)"
*/
SELECT id, name, email, created_at FROM users WHERE created_at >= %(since)s
