//! The mark of a store that is being restored: a proof of another form, which every writer and every server refuses.

use super::{
    Store,
    identity::{Identity, PROOF, RESTORING, encode_as},
};
use botops_findings::{Fault, Result};

impl Store {
    /// Marks this empty store as one that the restore `of` fills, and returns it for the objects to restore. Until
    /// [`Self::end_restore`], all others refuse to write to it or to serve from it. A store that an interrupted restore of
    /// the same name left may be marked again.
    ///
    /// # Errors
    /// `BOT-5110` (exit 5) it is not empty; `BOT-5113` (exit 6) another restore marked it; `BOT-5002`, `BOT-5003`.
    pub async fn begin_restore(&self, of: &str) -> Result<Self> {
        self.check_restorable(of).await?;
        let filled = Self { guard: None, ..self.clone() };
        filled.put_if_absent(PROOF, encode_as(RESTORING, of)).await?;
        match filled.restore().await? {
            Some(other) if other == of => Ok(filled),
            Some(other) => Err(self.restored_by(&other)),
            None => Err(self.not_empty(PROOF)),
        }
    }

    /// Checks that [`Self::begin_restore`] would accept this store.
    ///
    /// # Errors
    /// Those of [`Self::begin_restore`].
    pub async fn check_restorable(&self, of: &str) -> Result<()> {
        match self.restore().await? {
            Some(other) if other == of => Ok(()),
            Some(other) => Err(self.restored_by(&other)),
            None => match self.objects("", None).await?.first() {
                Some(object) => Err(self.not_empty(object)),
                None => Ok(()),
            },
        }
    }

    /// Removes the mark. The next writer gives the store an identity.
    ///
    /// # Errors
    /// `BOT-5002`, `BOT-5003`.
    pub async fn end_restore(&self) -> Result<()> {
        self.remove(PROOF).await
    }

    /// Returns the name of the restore that fills this store; `None` if none does.
    ///
    /// # Errors
    /// `BOT-5003`.
    pub async fn restore(&self) -> Result<Option<String>> {
        let Some(bytes) = self.read(PROOF).await? else { return Ok(None) };
        let identity = serde_json::from_slice::<Identity>(&bytes).ok();
        Ok(identity.filter(|it| it.schema == RESTORING).map(|it| it.id))
    }

    /// Returns this store if no restore fills it. One that cannot be read now is reported by the first read of it.
    ///
    /// # Errors
    /// `BOT-5113` (exit 6).
    pub async fn complete(&self) -> Result<&Self> {
        match self.restore().await {
            Ok(Some(of)) => Err(self.restored_by(&of)),
            Ok(None) | Err(_) => Ok(self),
        }
    }

    /// The fault of a store that the restore `of` fills.
    pub(super) fn restored_by(&self, of: &str) -> Fault {
        let message =
            format!("`{}` is not complete: the restore of `{of}` has not ended", self.url);
        Fault::policy("BOT-5113", message)
            .hint("run the same `botops backup restore` again to finish it, or remove the store")
    }

    fn not_empty(&self, object: &str) -> Fault {
        let message = format!("`{}` is not empty: nothing was restored into it", self.url);
        Fault::conflict("BOT-5110", message)
            .file(self.object_url(object))
            .hint("restore into an empty place, check it, then name it in botops.yaml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[tokio::test]
    async fn a_store_that_is_restored_is_refused_until_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store").display().to_string();
        let open = || Store::open(&path, &BTreeMap::new()).unwrap();
        let filled = open().begin_restore("one").await.unwrap();
        assert!(filled.create("models/a/log/1", "x".into()).await.unwrap());
        for fault in [
            open().identify().await.unwrap_err(),
            open().create("b", "y".into()).await.unwrap_err(),
            open().begin_restore("two").await.err().unwrap(),
        ] {
            assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5113", 6));
            assert!(fault.message().contains("`one`"), "{}", fault.message());
        }
        assert_eq!(open().restore().await.unwrap().as_deref(), Some("one"));
        let again = open().begin_restore("one").await.unwrap();
        assert!(!again.create("models/a/log/1", "x".into()).await.unwrap());
        again.end_restore().await.unwrap();
        open().identify().await.unwrap();
        let fault = open().begin_restore("one").await.err().unwrap();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-5110", 5));
    }
}
