//! The pages that a server sends to browsers.
//!
//! In: nothing; a page is the same for every server of one version. Out: a [`Page`], with the headers that it needs.
//!
//! A page is one document: its style and its script stand in it, and its policy (`Content-Security-Policy`) allows exactly
//! these two by their digests. So the parts of a page always fit together, also while servers of two versions run behind
//! one address, and nothing else runs in it: no other script, no outside asset, no form that leaves the page.

mod api;
mod chat;
mod page;
mod widget;

pub use api::api_page;
pub use chat::chat_page;
pub use page::Page;
pub use widget::{Script, widget};
