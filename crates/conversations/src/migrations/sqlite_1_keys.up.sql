CREATE TABLE conversation_keys (
  conversation BLOB NOT NULL,
  person BLOB NOT NULL,
  key_id TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (conversation, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversation_keys_by_key_id ON conversation_keys (key_id);
CREATE INDEX conversation_keys_by_time ON conversation_keys (at);
