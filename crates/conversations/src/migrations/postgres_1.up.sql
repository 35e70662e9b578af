CREATE TABLE conversation_turns (
  conversation BYTEA NOT NULL,
  number BIGINT NOT NULL,
  turn BYTEA NOT NULL,
  message BYTEA NOT NULL,
  person BYTEA,
  at BIGINT NOT NULL,
  open BOOLEAN NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (conversation, number)
);
CREATE UNIQUE INDEX conversation_turns_by_message ON conversation_turns (message);
CREATE INDEX conversation_turns_by_time ON conversation_turns (at, conversation);
CREATE INDEX conversation_turns_by_person ON conversation_turns (person, conversation) WHERE person IS NOT NULL;
-- Apart from the texts, so that backups can leave it out: pg_dump --exclude-table-data=conversation_keys
CREATE TABLE conversation_keys (
  conversation BYTEA NOT NULL,
  person BYTEA NOT NULL,
  key_id TEXT NOT NULL,
  wrapped BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (conversation, person)
);
CREATE INDEX conversation_keys_by_key_id ON conversation_keys (key_id);
CREATE INDEX conversation_keys_by_time ON conversation_keys (at);
