//! The arguments of `botops chat`.

use std::path::PathBuf;

/// Talk to a model, or to a server
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model: a `.botops` file, or a model or version in the registry; default: the workspace's champion. With -, the
    /// messages are the lines of standard input, without a prompt, as they are when standard input is no terminal
    #[arg(value_name = "MODEL|-", num_args = 0..=2)]
    pub(super) words: Vec<String>,
    /// Talk to the server at this address, with the key in `server.client_key` or BOTOPS_CLIENT_KEY
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Answer from this knowledge, too, beside a model file; repeatable. A version of the registry has its own
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    pub(super) knowledge: Vec<PathBuf>,
    /// Show with each answer: intents, entities, slots, state, and the version and arm that answered
    #[arg(long)]
    pub(super) explain: bool,
    /// Language of the answers, such as `fr`; default: that of each message
    #[arg(long, value_name = "LANGUAGE")]
    pub(super) language: Option<String>,
    /// Conversation: on a server, one that is continued; the variants of answers depend on it
    #[arg(long, value_name = "ID")]
    pub(super) conversation: Option<String>,
}
