//! From a base and a space to configurations.

use botops_digest::Digest;
use botops_findings::{Fault, Result};
use botops_models::ModelSpec;
use botops_pipelines::tune_block::{Dimension, Places};
use botops_spec as spec;
use botops_stats::random::Random;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Draws of one trial before it is given up: enough for a space of which one combination in twenty is possible.
const DRAWS: u64 = 200;
/// Blocks whose keys are often written without them.
const BLOCKS: [&str; 4] = ["features", "head", "fallback", "features.encoder"];

/// What was drawn for one trial: settings by their dotted key.
pub(crate) type Params = BTreeMap<String, Value>;

/// A base and what may be changed about it.
pub(crate) struct Space<'a> {
    pub(crate) base: &'a ModelSpec,
    pub(crate) dimensions: &'a BTreeMap<String, Dimension>,
    pub(crate) seed: u64,
}

/// The trials of a space, in order; the first is the base.
pub(crate) struct Drawn {
    pub(crate) trials: Vec<(Params, ModelSpec)>,
    /// Whether the space holds no more configurations than these.
    pub(crate) is_exhausted: bool,
}

impl Space<'_> {
    /// Returns the base changed by `params`.
    ///
    /// # Errors
    /// Those of [`spec::parse`] and [`ModelSpec::check`], about a text nobody wrote: the caller gives them a place.
    fn changed(&self, params: &Params) -> Result<ModelSpec> {
        let mut value = serde_json::to_value(self.base).expect("a spec is valid JSON");
        for (key, new) in params {
            set(&mut value, key, new.clone());
        }
        // Without nulls, which only say that nothing is said.
        let model: ModelSpec = match serde_json::from_value(value.clone()) {
            Ok(model) => model,
            // The words for people are those of YAML.
            Err(error) => {
                let yaml = spec::render(&value)?;
                spec::parse(&yaml, "base").and_then(|_: ModelSpec| {
                    Err(Fault::usage("BOT-8044", format!("a setting cannot be used: {error}")))
                })?
            }
        };
        model.check()?;
        Ok(model)
    }

    /// Draws trial `number`, for the `draw`th time: a function of the seed and these.
    fn draw(&self, number: u32, draw: u64) -> Params {
        self.dimensions
            .iter()
            .map(|(key, dimension)| {
                // A stream for each key, so that one more setting leaves what is drawn for the others.
                let digest = Digest::of(key.as_bytes());
                let mut of_key = [0; 8];
                of_key.copy_from_slice(&digest.as_bytes()[..8]);
                let seed = self.seed ^ u64::from_le_bytes(of_key);
                let mut random = Random::stream(seed, u64::from(number) * DRAWS + draw);
                (key.clone(), dimension.draw(&mut random))
            })
            .collect()
    }

    /// Checks that every value of the space can be used: with the base, or else with some draw of the other settings.
    ///
    /// # Errors
    /// `BOT-8044` for a setting that is not to be tuned; `BOT-1011`, `BOT-1012`, `BOT-7010` and others of a model's
    /// settings: each with its place in the pipeline (exit 2).
    pub(crate) fn check(&self, places: &Places<'_>) -> Result<()> {
        for (key, dimension) in self.dimensions {
            if let Some(why) = not_to_be_tuned(key) {
                return Err(Fault::usage("BOT-8044", format!("`{key}` is not to be tuned: {why}"))
                    .at(places.of(&format!("space.{key}")))
                    .hint("take it out of the space"));
            }
            for (at, value) in dimension.ends() {
                let alone = Params::from([(key.clone(), value.clone())]);
                let Err(fault) = self.changed(&alone) else { continue };
                if self.works_with_others(key, &value) {
                    continue;
                }
                // An unknown key is wrong where it is written, a value where that is.
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

    /// Returns the key in a block that `key`, written without its block, may stand for.
    fn meant(&self, key: &str, value: &Value) -> Option<String> {
        BLOCKS.iter().map(|block| format!("{block}.{key}")).find(|whole| {
            let params = Params::from([(whole.clone(), value.clone())]);
            self.changed(&params).err().is_none_or(|fault| fault.code() != "BOT-1011")
        })
    }

    /// Returns whether `value` would do as a whole number.
    fn fits_rounded(&self, key: &str, value: &Value) -> bool {
        let whole = value.as_f64().map(|value| Value::from(value.max(1.0).round() as i64));
        whole.is_some_and(|whole| self.changed(&Params::from([(key.to_owned(), whole)])).is_ok())
    }

    /// Draws `n` trials, no two of the same configuration; fewer where the space has no more.
    ///
    /// # Errors
    /// `BOT-8044` when no draw is a configuration that can be trained (exit 2); that of the base, as it is.
    pub(crate) fn trials(&self, n: u32, places: &Places<'_>) -> Result<Drawn> {
        self.base.check()?;
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
                    .hint("see with `--dry-run` what is drawn, once one of them fits"));
                }
                (None, _) => return Ok(Drawn { trials, is_exhausted: true }),
            }
        }
        Ok(Drawn { trials, is_exhausted: false })
    }
}

/// Says why a setting is left to people.
fn not_to_be_tuned(key: &str) -> Option<&'static str> {
    match key {
        "seed" => Some("the best of several seeds is luck; `train --repeat` shows how much"),
        "goldens" => Some("it changes no metric"),
        _ if key == "features.encoder" || key.starts_with("features.encoder.") => Some(
            "one search has one encoder, that of the train stage; compare encoders by a search each",
        ),
        _ if key == "fallback" || key.starts_with("fallback.") => {
            Some("it decides what is answered, and changes no metric that a search goes by")
        }
        _ => None,
    }
}

/// Sets the dotted `key`, making blocks on the way.
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
