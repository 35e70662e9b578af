//! Configurations drawn from a space around a base.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::ModelSpec;
use botops_pipelines::tune_block::{Dimension, Places};
use botops_spec::{self as spec, Spec as _};
use botops_stats::random::Random;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Draws per trial: enough for a space in which one combination in twenty is valid.
const DRAWS: u64 = 200;
/// Blocks that people often forget to write before a key.
const BLOCKS: [&str; 4] = ["features", "head", "fallback", "features.encoder"];

/// The drawn settings of one trial, by dotted key.
pub(crate) type Params = BTreeMap<String, Value>;

/// A base configuration and the settings that may vary.
pub(crate) struct Space<'a> {
    pub(crate) base: &'a ModelSpec,
    pub(crate) dimensions: &'a BTreeMap<String, Dimension>,
    pub(crate) seed: u64,
}

/// The trials of a space, in order; the first is the base.
pub(crate) struct Drawn {
    pub(crate) trials: Vec<(Params, ModelSpec)>,
    /// Whether the space has no further configurations.
    pub(crate) is_exhausted: bool,
}

impl Space<'_> {
    /// Returns the base changed by `params`.
    ///
    /// # Errors
    /// Those of [`spec::parse`] and [`Spec::check_ranges`]; the caller sets their place.
    fn changed(&self, params: &Params) -> Result<ModelSpec> {
        let mut value = serde_json::to_value(self.base).expect("a spec is valid JSON");
        for (key, new) in params {
            set(&mut value, key, new.clone());
        }
        let model: ModelSpec = match serde_json::from_value(value.clone()) {
            Ok(model) => model,
            // YAML errors have better messages.
            Err(error) => {
                let yaml = spec::render(&value)?;
                spec::parse(&yaml, "base").and_then(|_: ModelSpec| {
                    Err(Fault::usage("BOT-8044", format!("a setting cannot be used: {error}")))
                })?
            }
        };
        model.check_ranges()?;
        Ok(model)
    }

    /// Draws the settings of trial `number` in attempt `draw`: a function of the seed and these two.
    fn draw(&self, number: u32, draw: u64) -> Params {
        self.dimensions
            .iter()
            .map(|(key, dimension)| {
                // A stream per key: a new setting does not change the draws of the others.
                let digest = Digest::of(key.as_bytes());
                let mut of_key = [0; 8];
                of_key.copy_from_slice(&digest.as_bytes()[..8]);
                let seed = self.seed ^ u64::from_le_bytes(of_key);
                let mut random = Random::stream(seed, u64::from(number) * DRAWS + draw);
                (key.clone(), dimension.draw(&mut random))
            })
            .collect()
    }

    /// Checks that every value of the space is valid with the base, or else with some draw of the other settings.
    ///
    /// # Errors
    /// `BOT-8044` for a setting that cannot be tuned; `BOT-1011`, `BOT-1012`, `BOT-7010` and others of a model's
    /// settings: each with its place in the pipeline (exit 2).
    pub(crate) fn check(&self, places: &Places<'_>) -> Result<()> {
        for (key, dimension) in self.dimensions {
            if let Some(why) = why_not_tunable(key) {
                return Err(Fault::usage("BOT-8044", format!("`{key}` cannot be tuned: {why}"))
                    .at(places.of(&format!("space.{key}")))
                    .hint("remove it from the space"));
            }
            for (at, value) in dimension.ends() {
                let alone = Params::from([(key.clone(), value.clone())]);
                let Err(fault) = self.changed(&alone) else { continue };
                if self.works_with_others(key, &value) {
                    continue;
                }
                // The place of an unknown key is the key; of a bad value, the value.
                let unknown = fault.code() == "BOT-1011" && !value.is_object();
                let place = match unknown {
                    true => places.of(&format!("space.{key}")),
                    false => places.of(&format!("space.{key}.{at}")),
                };
                let fault = fault.at(place);
                return Err(match unknown.then(|| self.meant(key, &value)).flatten() {
                    Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
                    None if value.is_f64() && self.fits_rounded(key, &value) => {
                        fault.hint("use `integer` or `log_integer` for whole numbers")
                    }
                    None => fault,
                });
            }
        }
        Ok(())
    }

    fn works_with_others(&self, key: &str, value: &Value) -> bool {
        self.dimensions.len() > 1
            && (0..DRAWS).any(|draw| {
                let mut params = self.draw(u32::MAX, draw);
                params.insert(key.to_owned(), value.clone());
                self.changed(&params).is_ok()
            })
    }

    /// Returns the full key that `key`, written without its block, may stand for.
    fn meant(&self, key: &str, value: &Value) -> Option<String> {
        BLOCKS.iter().map(|block| format!("{block}.{key}")).find(|whole| {
            let params = Params::from([(whole.clone(), value.clone())]);
            self.changed(&params).err().is_none_or(|fault| fault.code() != "BOT-1011")
        })
    }

    /// Returns whether `value` is valid as a whole number.
    fn fits_rounded(&self, key: &str, value: &Value) -> bool {
        let whole = value.as_f64().map(|value| Value::from(value.max(1.0).round() as i64));
        whole.is_some_and(|whole| self.changed(&Params::from([(key.to_owned(), whole)])).is_ok())
    }

    /// Draws `n` trials with different configurations; fewer if the space has no more.
    ///
    /// # Errors
    /// `BOT-8044` (exit 2) if no draw can be trained; the fault of the base configuration.
    pub(crate) fn trials(&self, n: u32, places: &Places<'_>) -> Result<Drawn> {
        self.base.check_ranges()?;
        let mut trials = vec![(Params::new(), self.base.clone())];
        for number in 1..n {
            let mut impossible = None;
            let found = (0..DRAWS).find_map(|draw| {
                let params = self.draw(number, draw);
                match self.changed(&params) {
                    Ok(model) if trials.iter().all(|(_, known)| *known != model) => {
                        Some((params, model))
                    }
                    Ok(_) => None,
                    Err(fault) => {
                        impossible = Some(fault);
                        None
                    }
                }
            });
            match (found, impossible) {
                (Some(trial), _) => trials.push(trial),
                (None, Some(fault)) if trials.len() == 1 => {
                    return Err(Fault::usage(
                        "BOT-8044",
                        format!("no combination of the space can be trained: {fault}"),
                    )
                    .at(places.of("space"))
                    .hint("`--dry-run` lists the drawn configurations once one of them is valid"));
                }
                (None, _) => return Ok(Drawn { trials, is_exhausted: true }),
            }
        }
        Ok(Drawn { trials, is_exhausted: false })
    }
}

/// Returns the reason why a setting is not searched.
fn why_not_tunable(key: &str) -> Option<&'static str> {
    match key {
        "seed" => Some("the best of several seeds is luck; `train --repeat` shows how much"),
        "goldens" => Some("it changes no metric"),
        _ if key == "features.encoder" || key.starts_with("features.encoder.") => Some(
            "a search uses the encoder of the train stage; run one search per encoder to compare them",
        ),
        _ if key == "fallback" || key.starts_with("fallback.") => {
            Some("it decides which messages are answered, and changes no metric of the search")
        }
        _ => None,
    }
}

/// Sets the dotted `key`, and creates missing blocks.
fn set(value: &mut Value, key: &str, new: Value) {
    let mut at = value;
    for part in key.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = at
            .as_object_mut()
            .expect("it was made an object")
            .entry(part.to_owned())
            .or_insert(Value::Null);
    }
    *at = new;
}
