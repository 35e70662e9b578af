//! Answers that a language model writes, behind an OpenAI-compatible endpoint.
