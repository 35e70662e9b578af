//! Reports of the platform about answers that it took and could not deliver.

use crate::{
    adapter::{Fate, SendReport},
    channel::Channel,
    kept_answers::{Resend, part_of},
};
use botops_findings::Result;

impl Channel {
    /// Acts on reports: an answer is sent again, given up, or the person gets no templates any more. Returns the conversations
    /// with a message that waits again. `at` is in seconds of Unix time.
    ///
    /// # Errors
    /// Those of the store: the platform sends the reports again.
    pub(crate) async fn hear_reports(
        &self,
        reports: Vec<SendReport>,
        at: i64,
    ) -> Result<Vec<String>> {
        let mut conversations = Vec::new();
        for report in reports {
            match report.fate {
                Fate::OptOut => {
                    if let Some(person) = &report.person {
                        let person = self.names.persons(person);
                        self.opt_outs.refuse_templates(&person, at).await?;
                    }
                    self.counters.failed_opted_out.add();
                }
                Fate::GiveUp => self.counters.failed_final.add(),
                Fate::Retry => {
                    let reason = format!(
                        "the platform reports the error {} about an answer that it took",
                        report.code
                    );
                    let resend = match report.call.as_deref().and_then(part_of) {
                        Some(part) => self.inbox.send_again(part, (&reason, at)).await?,
                        None => Resend::Gone,
                    };
                    match resend {
                        Resend::Waits(conversation) => {
                            self.counters.failed_retried.add();
                            conversations.push(conversation);
                        }
                        Resend::Dead => {
                            self.counters.failed_final.add();
                            self.counters.dead.add();
                        }
                        Resend::Gone => self.counters.failed_final.add(),
                    }
                }
            }
        }
        Ok(conversations)
    }
}
