//! The client against a local server that speaks the protocol, in every way that it may fail.

use crate::GenerationSettings;
use botops_workspace::{Generation, GenerationBudget, GenerationKey};
use std::time::Duration;

pub(crate) fn written(url: &str) -> Generation {
    Generation {
        url: url.to_owned(),
        model: "small".to_owned(),
        served_as: None,
        key: GenerationKey::default(),
        timeout: Duration::from_secs(5),
        first_token_timeout: Duration::from_secs(2),
        max_tokens: 64,
        retries: 2,
        stream: true,
        allow_http: false,
        budget: GenerationBudget::default(),
        price: None,
    }
}

pub(crate) fn settings(url: &str) -> GenerationSettings {
    GenerationSettings::check(&written(url)).unwrap()
}
