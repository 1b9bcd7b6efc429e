-- Rows to start from. The numbers are made up: put yours in.

INSERT INTO monitor_group (id, group_id, name, slack_channel, valid_from) VALUES
  (1, 'database', 'データベース', 'C0123456789', '2026-01-01'),
  (2, 'web', 'ウェブ', NULL, '2026-01-01')
ON DUPLICATE KEY UPDATE id = id;

INSERT INTO group_member (id, group_id, position, name, phone_number, language, valid_from) VALUES
  (1, 'database', 1, '佐藤 葵', '+819000000001', 'ja', '2026-01-01'),
  (2, 'database', 2, '鈴木 蓮', '+819000000002', 'ja', '2026-01-01'),
  (3, 'database', 3, 'Emma Tanaka', '+819000000003', 'en', '2026-01-01'),
  (4, 'web', 1, 'Emma Tanaka', '+819000000003', 'en', '2026-01-01'),
  (5, 'web', 2, '佐藤 葵', '+819000000001', 'ja', '2026-01-01')
ON DUPLICATE KEY UPDATE id = id;

INSERT INTO twilio_message (id, message_id, language, text, valid_from) VALUES
  (1, 'disk_full', 'ja', '{}のディスク使用率が{}パーセントです。', '2026-01-01'),
  (2, 'disk_full', 'en', 'The disk of {} is {} percent full.', '2026-01-01'),
  (3, 'host_down', 'ja', '{}が応答していません。', '2026-01-01'),
  (4, 'host_down', 'en', '{} does not answer.', '2026-01-01')
ON DUPLICATE KEY UPDATE id = id;

INSERT INTO env_info (id, env_type, code, value, valid_from) VALUES
  (1, 'production', 'caller_number', '+815000000000', '2026-01-01'),
  (2, 'production', 'place', '本番環境', '2026-01-01'),
  (3, 'verification', 'caller_number', '+815000000000', '2026-01-01'),
  (4, 'verification', 'place', '検証環境、これは訓練です', '2026-01-01'),
  (5, 'verification', 'rehearsal_number_1', '+819000000091', '2026-01-01'),
  (6, 'verification', 'rehearsal_number_2', '+819000000092', '2026-01-01')
ON DUPLICATE KEY UPDATE id = id;
