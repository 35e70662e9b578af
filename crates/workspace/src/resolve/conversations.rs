//! The settings of conversations.

use super::{Sources, tidy};
use crate::{
    origin::Origin,
    secret::{Secret, SecretSource},
    settings::Setting,
    spec::ConversationsSpec,
};
use botops_findings::Result;

/// The place of conversations where nobody names one, from the folder of `botops.yaml`.
const CONVERSATIONS: &str = ".botops/conversations";

impl Sources<'_> {
    /// Returns the setting `conversations.<key>`.
    pub(super) fn of_conversations(
        &self,
        key: &str,
        default: &str,
        of: impl Fn(&ConversationsSpec) -> Option<&String>,
    ) -> Setting<String> {
        let key = format!("conversations.{key}");
        self.written(&key, |profile| of(&profile.conversations), |file| of(&file.conversations))
            .unwrap_or_else(|| Setting { value: default.to_owned(), origin: Origin::Default })
    }

    /// Returns where conversations are stored: a location by the rules of [`Self::location`], or a reference to one.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a URL with a password is written out instead of a reference.
    pub(super) fn conversations_store(&self) -> Result<Setting<SecretSource>> {
        let key = "conversations.store";
        let Setting { value, origin } = self.optional(
            key,
            &["BOTOPS_CONVERSATIONS"],
            |profile| profile.conversations.store.as_ref(),
            |file| file.conversations.store.as_ref(),
        );
        let is_written = matches!(origin, Origin::File(_) | Origin::Profile(_));
        let value = value.unwrap_or_else(|| CONVERSATIONS.to_owned());
        if is_written && (value.trim().starts_with("${") || has_password(&value)) {
            let place = self.place(key, &origin);
            let environment = &self.overrides.environment;
            let value = SecretSource::parse(&value, &self.root, environment, place)?;
            return Ok(Setting { value, origin });
        }
        let base = match origin {
            Origin::Flag(_) | Origin::Environment(_) => &self.start,
            Origin::Default | Origin::File(_) | Origin::Profile(_) => &self.root,
        };
        // One that is empty is no folder: it is refused where it is opened.
        let is_place = botops_text::url_scheme(&value).is_none()
            && value != "memory"
            && !value.trim().is_empty();
        let value = match is_place {
            true => tidy(&base.join(value)).display().to_string(),
            false => value,
        };
        Ok(Setting { value: SecretSource::given(Secret::new(value)), origin })
    }
}

/// Returns whether a URL has a password: in front of its host, or in its query.
fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = rest.rsplit_once('@').map_or("", |(user, _)| user);
    user.contains(':') || query.contains("password=")
}
