//! The settings of monitoring.

use super::Sources;
use crate::{
    monitoring::{Monitoring, MonitoringSpec, MonitoringWebhook, MonitoringWebhookSpec},
    origin::Origin,
    secret::{Secret, SecretSource},
    settings::Setting,
};
use botops_findings::Result;

/// The key of the block.
const KEY: &str = "monitoring";

impl Sources<'_> {
    /// Returns the block of the profile, or else that of the file, with the references of its secrets read and not resolved.
    ///
    /// # Errors
    /// `BOT-1021` (exit 2) a secret is written out and not a reference.
    pub(super) fn monitoring(&self) -> Result<Setting<Monitoring>> {
        let is_set = |spec: &MonitoringSpec| *spec != MonitoringSpec::default();
        let of_profile = self.profile.as_ref().filter(|(_, profile)| is_set(&profile.monitoring));
        let (spec, origin) = match of_profile {
            Some((name, profile)) => (&profile.monitoring, Origin::Profile(name.clone())),
            None if is_set(&self.file.monitoring) => {
                (&self.file.monitoring, Origin::File(self.at_line(KEY)))
            }
            None => (&self.file.monitoring, Origin::Default),
        };
        let webhook = |(i, webhook): (usize, &MonitoringWebhookSpec)| {
            let parse = |name: &str, reference: &str| {
                let place = self.place(&format!("{KEY}.webhooks[{i}].{name}"), &origin);
                SecretSource::parse(reference, &self.root, &self.overrides.environment, place)
            };
            let is_reference = webhook.url.trim_start().starts_with("${");
            Ok(MonitoringWebhook {
                url: match is_reference {
                    true => parse("url", &webhook.url)?,
                    false => SecretSource::given(Secret::new(webhook.url.clone())),
                },
                kind: webhook.kind.clone(),
                secret: match &webhook.secret {
                    Some(secret) => parse("secret", secret)?,
                    None => SecretSource::default(),
                },
            })
        };
        let webhooks = spec.webhooks.iter().enumerate().map(webhook).collect::<Result<_>>()?;
        let value = Monitoring {
            every: spec.every.clone(),
            window: spec.window.clone(),
            reference_window: spec.reference_window.clone(),
            min_rows: spec.min_rows,
            min_accuracy: spec.min_accuracy,
            webhooks,
            allow_private: spec.allow_private.clone(),
        };
        Ok(Setting { value, origin })
    }
}
