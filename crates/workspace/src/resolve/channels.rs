//! The settings of channels.

use super::Sources;
use crate::{
    channels::{ChannelSource, ChannelSpec},
    origin::Origin,
    secret::{Secret, SecretSource},
    settings::Setting,
};
use botops_findings::Result;
use std::collections::BTreeMap;

/// The key of the block.
const KEY: &str = "channels";

impl Sources<'_> {
    /// Returns the block of the profile, or else that of the file, with the references of its secrets read and not resolved.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a secret is written out and not a reference.
    pub(super) fn channels(&self) -> Result<Setting<BTreeMap<String, ChannelSource>>> {
        let of_profile = self.profile.as_ref().filter(|(_, profile)| !profile.channels.is_empty());
        let (specs, origin) = match of_profile {
            Some((name, profile)) => (&profile.channels, Origin::Profile(name.clone())),
            None if !self.file.channels.is_empty() => {
                (&self.file.channels, Origin::File(self.at_line(KEY)))
            }
            None => (&self.file.channels, Origin::Default),
        };
        let channel = |(name, spec): (&String, &ChannelSpec)| {
            let secret = |(key, reference): (&'static str, &str)| {
                let is_reference = reference.trim_start().starts_with("${");
                let source = match key.ends_with(".url") && !is_reference {
                    // An address may be written out.
                    true => SecretSource::given(Secret::new(reference)),
                    false => {
                        let place = self.place(&format!("{KEY}.{name}.{key}"), &origin);
                        let environment = &self.overrides.environment;
                        SecretSource::parse(reference, &self.root, environment, place)?
                    }
                };
                Ok((key, source))
            };
            let secrets = spec.secrets().into_iter().map(secret).collect::<Result<_>>()?;
            Ok((name.clone(), ChannelSource { spec: spec.clone(), secrets }))
        };
        let value = specs.iter().map(channel).collect::<Result<_>>()?;
        Ok(Setting { value, origin })
    }
}
