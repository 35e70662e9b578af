//! The WhatsApp Cloud API.

mod adapter;
mod errors;
mod payload;
#[cfg(test)]
mod payload_tests;
mod rendering;

pub(crate) use adapter::WhatsAppAdapter;
