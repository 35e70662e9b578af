//! The WhatsApp Cloud API.

mod adapter;
mod errors;
mod payload;
mod rendering;

pub(crate) use adapter::WhatsAppAdapter;
