//! The settings of answers from documents.

use super::Sources;
use crate::{
    knowledge::{AnswerMode, Generation, GenerationKey, GenerationSpec, Knowledge, KnowledgeSpec},
    origin::Origin,
    secret::SecretSource,
    settings::Setting,
};
use botops_findings::{Fault, Result};
use std::time::Duration;

/// The key of the block.
const KEY: &str = "knowledge";
/// The most passages that an answer may be taken from: each is read for every question.
const MOST_PASSAGES: u32 = 50;
/// The most tokens of an answer.
const MOST_TOKENS: u32 = 32_768;
/// The most further tries.
const MOST_RETRIES: u32 = 5;
/// The most characters of further rules. They are sent with every question.
const RULES_CHARS: usize = 8_000;
/// The longest time-out.
const LONGEST: Duration = Duration::from_secs(600);

impl Sources<'_> {
    /// Returns the block of the profile, or else that of the file, checked, with the reference of its key read and not
    /// resolved.
    ///
    /// # Errors
    /// `BOT-1012` (exit 2) a value is out of range, or a setting that another one needs is absent; `BOT-1021` (exit 2) the key
    /// is written out and not a reference; `BOT-1022` (exit 2) the address is not an `http://` or `https://` URL.
    pub(super) fn knowledge(&self) -> Result<Setting<Knowledge>> {
        let is_set = |spec: &KnowledgeSpec| *spec != KnowledgeSpec::default();
        let of_profile = self.profile.as_ref().filter(|(_, profile)| is_set(&profile.knowledge));
        let (spec, origin) = match of_profile {
            Some((name, profile)) => (&profile.knowledge, Origin::Profile(name.clone())),
            None if is_set(&self.file.knowledge) => {
                (&self.file.knowledge, Origin::File(self.at_line(KEY)))
            }
            None => {
                return Ok(Setting { value: Knowledge::default(), origin: Origin::Default });
            }
        };
        let unfit = |key: &str, message: String| {
            let key = format!("{KEY}.{key}");
            Fault::usage("BOT-1012", format!("`{key}` {message}")).at(self.place(&key, &origin))
        };
        let answer = spec.answer.unwrap_or_default();
        if let Some(least) = spec.min_confidence
            && !(0.0..=1.0).contains(&least)
        {
            return Err(unfit("min_confidence", format!("is {least}: expected 0 to 1"))
                .hint("leave it out for the threshold of the index"));
        }
        let top_k = match spec.top_k {
            Some(top_k) if !(1..=MOST_PASSAGES).contains(&top_k) => {
                return Err(unfit("top_k", format!("is {top_k}: expected 1 to {MOST_PASSAGES}"))
                    .hint("5 passages suffice for most questions"));
            }
            Some(top_k) => top_k as usize,
            None => Knowledge::default().top_k,
        };
        if answer == AnswerMode::Generated && spec.generation.is_none() {
            return Err(unfit("answer", "is `generated` without a `generation` block".to_owned())
                .hint("write `generation: {url: https://llm.example.com/v1, model: NAME}`")
                .hint("or `answer: extractive`, which needs no language model"));
        }
        let generation =
            spec.generation.as_ref().map(|spec| self.generation(spec, &origin)).transpose()?;
        let of_client = |(client, tags): (&String, &Vec<String>)| {
            (client.clone(), tags.iter().cloned().collect())
        };
        let access = spec.access.iter().map(of_client).collect();
        let value =
            Knowledge { answer, min_confidence: spec.min_confidence, top_k, generation, access };
        Ok(Setting { value, origin })
    }

    /// Checks the block `knowledge.generation`.
    fn generation(&self, spec: &GenerationSpec, origin: &Origin) -> Result<Generation> {
        let block = format!("{KEY}.generation");
        let unfit = |key: &str, message: String| {
            let key = format!("{block}.{key}");
            Fault::usage("BOT-1012", format!("`{key}` {message}")).at(self.place(&key, origin))
        };
        let timeout = |key: &str, written: Option<&String>, default: Duration| {
            let Some(written) = written else { return Ok(default) };
            let parsed = humantime::parse_duration(written.trim()).ok();
            parsed.filter(|time| !time.is_zero() && *time <= LONGEST).ok_or_else(|| {
                let shown = botops_text::display(written, 40);
                unfit(key, format!("is `{shown}`: expected a time of at most 10min"))
                    .hint(format!("write it as `{key}: 20s`"))
            })
        };
        if spec.model.trim().is_empty() {
            return Err(unfit("model", "is empty: expected the name of a model".to_owned())
                .hint("the endpoint lists its models at `/models`"));
        }
        let rules = spec.rules.as_deref().unwrap_or_default().trim();
        let n_chars = rules.chars().count();
        if n_chars > RULES_CHARS {
            let message = format!("has {n_chars} characters: expected at most {RULES_CHARS}");
            return Err(unfit("rules", message)
                .hint("write facts into the documents, and only rules such as `Be brief.` here"));
        }
        let within =
            |key: &str, value: Option<u32>, least: u32, most: u32, default: u32| match value {
                Some(value) if !(least..=most).contains(&value) => {
                    Err(unfit(key, format!("is {value}: expected {least} to {most}"))
                        .hint(format!("write `{key}: {default}`")))
                }
                value => Ok(value.unwrap_or(default)),
            };
        let (budget, price) = (spec.budget, spec.price);
        let amounts = [
            ("budget.cost_per_day", budget.cost_per_day),
            ("budget.cost_per_request", budget.cost_per_request),
            ("price.input_per_million", price.map(|price| price.input_per_million)),
            ("price.output_per_million", price.map(|price| price.output_per_million)),
        ];
        for (key, amount) in amounts {
            let Some(amount) = amount else { continue };
            if !amount.is_finite() || amount < 0.0 {
                return Err(unfit(key, format!("is {amount}: expected 0 or more"))
                    .hint("write an amount such as `2.50`"));
            }
            if price.is_none() {
                return Err(unfit(key, "has no price to compute costs from".to_owned()).hint(
                    "write `price: {input_per_million: 0.5, output_per_million: 1.5}` beside it",
                ));
            }
        }
        let key = match &spec.key {
            Some(reference) => {
                let place = self.place(&format!("{block}.key"), origin);
                let environment = &self.overrides.environment;
                SecretSource::parse(reference, &self.root, environment, place)?
            }
            None => SecretSource::default(),
        };
        Ok(Generation {
            url: self.endpoint(&spec.url, origin)?,
            model: spec.model.trim().to_owned(),
            served_as: spec.served_as.clone(),
            key: GenerationKey(key),
            rules: rules.to_owned(),
            timeout: timeout("timeout", spec.timeout.as_ref(), Duration::from_secs(30))?,
            first_token_timeout: timeout(
                "first_token_timeout",
                spec.first_token_timeout.as_ref(),
                Duration::from_secs(10),
            )?,
            max_tokens: within("max_tokens", spec.max_tokens, 1, MOST_TOKENS, 512)?,
            retries: within("retries", spec.retries, 0, MOST_RETRIES, 2)?,
            stream: spec.stream.unwrap_or(true),
            allow_http: spec.allow_http,
            budget,
            price,
        })
    }

    /// Checks the address of the endpoint, and returns it without a `/` at its end.
    fn endpoint(&self, written: &str, origin: &Origin) -> Result<String> {
        let key = "knowledge.generation.url";
        let fault = |code: &'static str, why: &str| {
            Fault::usage(code, format!("`{key}` {why}"))
                .at(self.place(key, origin))
                .hint("write it as `https://llm.example.com/v1` or `http://127.0.0.1:8000/v1`")
        };
        let url = url::Url::parse(written.trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| fault("BOT-1022", "is not an `http://` or `https://` URL"))?;
        // The message does not contain the value, which contains a user or password.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(fault("BOT-1022", "must not contain a user or a password")
                .hint("give the key as `key: ${env:BOTOPS_GENERATION_KEY}`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(fault("BOT-1022", "must not contain `?` or `#`"));
        }
        let address = url.as_str().trim_end_matches('/');
        Ok(address.strip_suffix("/chat/completions").unwrap_or(address).to_owned())
    }
}
