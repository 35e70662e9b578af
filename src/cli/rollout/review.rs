//! The disagreements of a challenger in shadow, as the servers that were asked keep them.

use crate::cli::{session::context::Context, terminal::tables};
use botops_findings::Result;
use botops_serving::{AdminClient, Disagreement, ShadowPrediction};
use botops_text::{count, display, without_credentials};
use futures::future::try_join_all;
use serde::Serialize;

/// The disagreements of all servers that were asked. They are in no log: a server keeps its own, in memory.
#[derive(Serialize)]
pub(super) struct Review {
    rollout: String,
    /// The number of disagreements on these servers.
    found: u64,
    /// The last 200 of each server, the newest first.
    disagreements: Vec<Disagreement>,
    servers: Vec<KeptBy>,
}

/// A server that was asked.
#[derive(Serialize)]
struct KeptBy {
    /// The id of the server; empty if it is of an older botops.
    server: String,
    url: String,
    found: u64,
}

impl Review {
    /// Asks the servers at `urls` about the rollout `id`. Two addresses of one server count once.
    ///
    /// # Errors
    /// Those of [`AdminClient::disagreements`].
    pub(super) fn ask(context: &Context, urls: &[String], id: &str) -> Result<Self> {
        let clients: Vec<AdminClient> =
            urls.iter().map(|url| context.admin_client(url)).collect::<Result<_>>()?;
        let answers = context.wait(try_join_all(
            clients.iter().map(async |client| client.disagreements(Some(id)).await),
        ))??;
        let mut review = Self {
            rollout: id.to_owned(),
            found: 0,
            disagreements: Vec::new(),
            servers: Vec::new(),
        };
        for (url, kept) in urls.iter().zip(answers) {
            let server = kept.server;
            if !server.is_empty() && review.servers.iter().any(|known| known.server == server) {
                continue;
            }
            review.found += kept.found;
            review.disagreements.extend(kept.disagreements);
            let url = without_credentials(url).into_owned();
            review.servers.push(KeptBy { server, url, found: kept.found });
        }
        // Stable, so that the order of one server stays.
        review.disagreements.sort_by_key(|found| std::cmp::Reverse(found.at));
        Ok(review)
    }

    /// Renders the disagreements, the newest first.
    pub(super) fn text(&self) -> String {
        let mut text = match self.disagreements.len() {
            0 => "\nno disagreements".to_owned(),
            n => format!("\n{} disagreements, the last {n},", count(self.found)),
        };
        let servers = self.servers.iter().map(|kept| match kept.server.as_str() {
            "" => display(&kept.url, 200),
            server => format!("{} ({})", display(server, 80), display(&kept.url, 200)),
        });
        let servers: Vec<String> = servers.collect();
        text.push_str(match servers.len() {
            1 => " on one server alone: ",
            _ => " on these servers alone: ",
        });
        text.push_str(&servers.join(", "));
        text.push_str(
            "\nother servers of the environment keep their own: name them with `--replica URL`\n",
        );
        let predicted = |prediction: &ShadowPrediction| {
            let fallback = if prediction.fallback { ", fallback" } else { "" };
            format!("{} ({:.3}{fallback})", display(&prediction.intent, 80), prediction.confidence)
        };
        for Disagreement { at, text: said, primary, challenger } in &self.disagreements {
            let challenger = challenger.as_ref().map_or_else(|| "failed".to_owned(), predicted);
            text.push_str(&format!(
                "  {} UTC  {}\n    primary {}, challenger {challenger}\n",
                tables::time(at),
                display(said, 200),
                predicted(primary),
            ));
        }
        text
    }
}
