//! The values of the settings under `limits:`.

use super::Sources;
use crate::{
    limits_spec::RequestLimitsSpec,
    origin::Origin,
    secret::{Secret, SecretSource},
    settings::{RequestLimits, Setting},
};
use botops_findings::{Fault, Result};

/// The environment variable of `limits.shared`.
const SHARED: &str = "BOTOPS_LIMITS_SHARED";

impl Sources<'_> {
    pub(super) fn request_limits(&self) -> Result<RequestLimits> {
        Ok(RequestLimits {
            per_key: self.of_limits("limits.per_key", |limits| &limits.per_key),
            per_address: self.of_limits("limits.per_address", |limits| &limits.per_address),
            per_conversation: self
                .of_limits("limits.per_conversation", |limits| &limits.per_conversation),
            routes: self.of_limits("limits.routes", |limits| &limits.routes),
            max_texts: self.of_limits("limits.max_texts", |limits| &limits.max_texts),
            max_text_chars: self
                .of_limits("limits.max_text_chars", |limits| &limits.max_text_chars),
            max_queue_delay: self
                .of_limits("limits.max_queue_delay", |limits| &limits.max_queue_delay),
            shared: self.shared_limits()?,
            on_shared_failure: self
                .of_limits("limits.on_shared_failure", |limits| &limits.on_shared_failure),
            max_json_depth: self
                .of_limits("limits.max_json_depth", |limits| &limits.max_json_depth),
        })
    }

    /// Returns the value of the profile, if it sets one, or else that of the file.
    fn of_limits<T: Clone + Default + PartialEq>(
        &self,
        key: &str,
        of: impl Fn(&RequestLimitsSpec) -> &T,
    ) -> Setting<T> {
        if let Some((name, profile)) = &self.profile
            && *of(&profile.limits) != T::default()
        {
            let value = of(&profile.limits).clone();
            return Setting { value, origin: Origin::Profile(name.clone()) };
        }
        let value = of(&self.file.limits).clone();
        let origin = match value == T::default() {
            true => Origin::Default,
            false => Origin::File(self.at_line(key)),
        };
        Setting { value, origin }
    }

    /// Returns the location of the shared limits: a reference, or a location without a password.
    fn shared_limits(&self) -> Result<Setting<SecretSource>> {
        let key = "limits.shared";
        if let Some(Setting { value, origin }) = self.environment(&[SHARED]) {
            return Ok(Setting { value: SecretSource::given(Secret::new(value)), origin });
        }
        let Setting { value, origin } = self.of_limits(key, |limits| &limits.shared);
        let Some(value) = value else {
            return Ok(Setting { value: SecretSource::default(), origin });
        };
        let place = self.place(key, &origin);
        if value.trim_start().starts_with("${") {
            let (root, environment) = (&self.root, &self.overrides.environment);
            let value = SecretSource::parse(&value, root, environment, place)?;
            return Ok(Setting { value, origin });
        }
        // What stands before an `@` may be a password.
        if value.contains('@') {
            return Err(Fault::usage("BOT-1021", format!("`{key}` contains a password"))
                .at(place)
                .hint(format!(
                    "write `{key}: ${{env:{SHARED}}}`, and the whole location in the variable"
                ))
                .hint("if a real password was committed, replace it"));
        }
        Ok(Setting { value: SecretSource::given(Secret::new(value)), origin })
    }
}
