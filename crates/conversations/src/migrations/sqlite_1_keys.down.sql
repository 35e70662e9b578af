DROP TABLE conversation_keys;
