//! Messaging channels: verify, parse, render, send.
