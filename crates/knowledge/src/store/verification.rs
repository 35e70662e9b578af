//! Verifies knowledge bases: every log, every manifest, every original and every index.

use super::{
    log::{AT_ONCE, KnowledgeAction, KnowledgeStore},
    reference,
};
use botops_digest::Digest;
use botops_findings::{Fault, Finding, Result, Severity};
use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The result of [`KnowledgeStore::verify`].
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct KnowledgeVerification {
    /// Knowledge bases checked.
    pub knowledge_bases: u64,
    /// Log entries checked.
    pub entries: u64,
    /// Blobs read and digested.
    pub blobs: u64,
    /// All problems.
    pub problems: Vec<Finding>,
    /// The blobs that were erased on purpose, for information.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erased: Vec<Finding>,
}

impl KnowledgeStore {
    /// Checks every log, and reads and digests every blob that a version refers to, in one knowledge base or in all.
    ///
    /// # Errors
    /// Those of the store, when it does not answer; `BOT-7232` no such knowledge base (exit 2).
    pub async fn verify(&self, name: Option<&str>) -> Result<KnowledgeVerification> {
        let names = match name {
            Some(name) => {
                reference::check_name(name)?;
                if self.log(name).is_empty().await? {
                    return Err(self.unknown(name).await);
                }
                vec![name.to_owned()]
            }
            None => self.names().await?,
        };
        let mut verification =
            KnowledgeVerification { knowledge_bases: names.len() as u64, ..Default::default() };
        // The blobs, each with the first version and the name of the file that needs it.
        let mut needed: BTreeMap<Digest, String> = BTreeMap::new();
        for name in &names {
            let inspection = self.log(name).inspect().await?;
            verification.entries += (inspection.entries.len() + inspection.problems.len()) as u64;
            verification.problems.extend(inspection.problems.iter().map(Fault::as_finding));
            let mut seen = BTreeSet::new();
            for entry in &inspection.entries {
                let KnowledgeAction::Imported { manifest, .. } = entry.payload.action;
                if !seen.insert(manifest) {
                    continue;
                }
                let reference = format!("{name}@{}", entry.seq);
                verification.blobs += 1;
                match Fault::unless_unreachable(self.load(name, entry).await)? {
                    Err(fault) => {
                        verification.add(&fault, &format!("manifest of `{reference}`"));
                    }
                    Ok(version) => {
                        let index = (version.manifest.index, "index".to_owned());
                        let files = version.manifest.files.iter().map(|it| {
                            (it.digest, format!("`{}`", botops_text::display(&it.id, 120)))
                        });
                        for (digest, file) in files.chain([index]) {
                            needed.entry(digest).or_insert(format!("{file} of `{reference}`"));
                        }
                    }
                }
            }
        }
        verification.blobs += needed.len() as u64;
        let faults: Vec<Option<(Fault, String)>> = futures::stream::iter(needed)
            .map(|(digest, file)| async move {
                let read = Fault::unless_unreachable(self.store.blob(&digest).await)?;
                Ok::<_, Fault>(read.err().map(|fault| (fault, file)))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for (fault, file) in faults.into_iter().flatten() {
            verification.add(&fault, &file);
        }
        Ok(verification)
    }
}

impl KnowledgeVerification {
    fn add(&mut self, fault: &Fault, object: &str) {
        let mut finding = fault.as_finding();
        finding.message = format!("{object}: {}", finding.message);
        if fault.code() == "BOT-5130" {
            finding.severity = Severity::Info;
            self.erased.push(finding);
        } else {
            self.problems.push(finding);
        }
    }
}
