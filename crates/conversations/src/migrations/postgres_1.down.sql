DROP TABLE conversation_turns;
DROP TABLE conversation_keys;
