//! Conversations: their turns and state, and the stores that keep them.
