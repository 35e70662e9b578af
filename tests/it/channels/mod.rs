//! Messaging channels of a real server: requests of platforms, answers, failures, and servers that are killed.

mod acknowledged;
mod graph;
mod shop;
mod undelivered;
mod webhook;
mod whatsapp;
