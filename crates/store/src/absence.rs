//! The answer of a store to a request for an object that does not exist.

use super::{
    Store,
    failure::{Failure, Operation},
    identity,
};
use botops_findings::{Fault, Result};
use object_store::{Error, ObjectStoreExt as _};

impl Store {
    /// Asks for an object that does not exist, and checks that the store says so.
    ///
    /// A reader that follows a log asks for the next entry, which is mostly absent. S3 answers 403 instead of 404 for an
    /// absent object if the credentials may not list the bucket.
    ///
    /// # Errors
    /// `BOT-5052` (exit 1) if the store refuses the request; `BOT-5003`, and others of [`Self::read`].
    pub async fn check_absence(&self) -> Result<()> {
        let path = format!("probes/absent-{}", identity::new_id());
        let location = self.parse(&path)?;
        let mut retry = self.retries.begin();
        loop {
            let Err(error) = self.inner.get(&location).await else {
                let message = format!("`{}` answers a request for an absent object", self.url);
                return Err(Fault::internal("BOT-5052", message).file(self.object_url(&path)).hint(
                    "use a store that answers 404 for an absent object: a local disk, Amazon S3, MinIO, Cloudflare R2",
                ));
            };
            match Failure::of(&error) {
                Failure::Absent => return Ok(()),
                Failure::Transient { .. } if retry.pause().await => {}
                _ if matches!(error, Error::PermissionDenied { .. }) => {
                    return Err(self.absence_refused(&path, error));
                }
                _ => return Err(self.fault(Operation::Read, &path, error, retry.tries())),
            }
        }
    }

    fn absence_refused(&self, path: &str, error: Error) -> Fault {
        let Some(rest) = self.url.strip_prefix("s3://") else {
            // A disk names the permission that is missing.
            return self.fault(Operation::Read, path, error, 1);
        };
        let bucket = rest.split('/').next().unwrap_or(rest);
        let message = format!("`{}` answers 403 instead of 404 for an absent object", self.url);
        Fault::internal("BOT-5052", message)
            .file(self.object_url(path))
            .hint(format!(
                "grant `s3:ListBucket` on `arn:aws:s3:::{bucket}`: without it, S3 does not say whether an object exists"
            ))
            .hint(format!("check that `s3:GetObject` on `arn:aws:s3:::{rest}/*` is granted, too", rest = rest.trim_end_matches('/')))
            .caused_by(error)
    }
}
