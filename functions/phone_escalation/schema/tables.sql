-- Who is phoned, and what is said. Times are wall-clock times of the zone in terraform's
-- phone_escalation.timezone (Asia/Tokyo); a row is valid from valid_from until before valid_to,
-- NULL being without an end. Next month's rotation: end today's rows, insert the new ones.

CREATE TABLE IF NOT EXISTS monitor_group (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  group_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL COMMENT 'in the address',
  name VARCHAR(100) NOT NULL COMMENT 'as it is spoken',
  rounds TINYINT UNSIGNED NOT NULL DEFAULT 2 COMMENT 'how often everybody is tried',
  ring_timeout SMALLINT UNSIGNED NOT NULL DEFAULT 20 COMMENT 'seconds; under 20 stays clear of voicemail',
  bundle_minutes SMALLINT UNSIGNED NOT NULL DEFAULT 5 COMMENT 'so long the same alert rings nobody anew, and another one goes first to who acknowledged',
  escalations_per_hour SMALLINT UNSIGNED NOT NULL DEFAULT 20,
  slack_channel VARCHAR(20) NULL COMMENT 'a channel id, told when nobody acknowledged',
  valid_from DATETIME NOT NULL,
  valid_to DATETIME NULL,
  KEY (group_id),
  CHECK (valid_to IS NULL OR valid_from < valid_to),
  CHECK (group_id REGEXP '^[A-Za-z0-9_-]+$'),
  CHECK (rounds BETWEEN 1 AND 10 AND ring_timeout BETWEEN 5 AND 120 AND escalations_per_hour > 0)
);

CREATE TABLE IF NOT EXISTS group_member (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  group_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  position SMALLINT UNSIGNED NOT NULL COMMENT 'who is phoned first: 1, then 2, …',
  name VARCHAR(100) NOT NULL COMMENT 'as it is spoken to the others',
  phone_number VARCHAR(16) NOT NULL COMMENT 'E.164, such as +819012345678',
  language ENUM('ja', 'en') NOT NULL DEFAULT 'ja',
  valid_from DATETIME NOT NULL,
  valid_to DATETIME NULL,
  KEY (group_id, position),
  CHECK (valid_to IS NULL OR valid_from < valid_to),
  CHECK (phone_number REGEXP '^[+][1-9][0-9]{6,14}$')
);

CREATE TABLE IF NOT EXISTS twilio_message (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  message_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  language ENUM('ja', 'en') NOT NULL DEFAULT 'ja',
  text VARCHAR(1000) NOT NULL COMMENT 'with a {} for each variableMessage, in order',
  valid_from DATETIME NOT NULL,
  valid_to DATETIME NULL,
  KEY (message_id, language),
  CHECK (valid_to IS NULL OR valid_from < valid_to)
);

CREATE TABLE IF NOT EXISTS env_info (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  env_type ENUM('production', 'verification') NOT NULL,
  code VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
    COMMENT 'caller_number, place; in verification rehearsal_number, or several: rehearsal_number_1, …',
  value VARCHAR(255) NOT NULL,
  valid_from DATETIME NOT NULL,
  valid_to DATETIME NULL,
  KEY (env_type, code),
  CHECK (valid_to IS NULL OR valid_from < valid_to)
);
