CREATE TABLE conversation_turns (
  id INTEGER PRIMARY KEY,
  conversation BLOB NOT NULL,
  number INTEGER NOT NULL,
  turn BLOB NOT NULL,
  message BLOB NOT NULL,
  person BLOB,
  at INTEGER NOT NULL,
  open INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversation_turns_by_number ON conversation_turns (conversation, number);
CREATE UNIQUE INDEX conversation_turns_by_message ON conversation_turns (message);
CREATE INDEX conversation_turns_by_time ON conversation_turns (at, conversation);
CREATE INDEX conversation_turns_by_person ON conversation_turns (person, conversation) WHERE person IS NOT NULL;
