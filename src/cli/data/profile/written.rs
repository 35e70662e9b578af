//! `botops data profile --out`, `--shard` and `--merge`: the profile for `botops drift`, at once or in parts.

use super::arguments::Args;
use crate::cli::{
    Outcome,
    arguments::model_arg::{self, Found},
    drift::profiles::{Data, Shard},
    session::{context::Context, outputs},
    terminal::tables,
};
use botops_datasets::{Presence, ReadOptions};
use botops_digest::Digest;
use botops_files::{Output, OutputKind};
use botops_findings::{Fault, Result};
use botops_monitoring::ReferenceProfile;
use serde::Serialize;
use std::path::Path;

/// A part in the store, or the merged profile, or that of a file in one pass.
#[derive(Serialize)]
struct Answer {
    /// The part, such as `2/8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<String>,
    /// The object of the part in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Whether the part was there before, from an earlier run with the same bytes.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    existed: bool,
    /// The number of parts that were merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<u32>,
    /// The rows of the profile.
    records: u64,
    out: Option<String>,
}

/// The profile to write to a file.
pub(super) struct Profiles<'a> {
    args: &'a Args,
    context: &'a Context,
    data: Data,
    found: Option<Found>,
    options: ReadOptions,
}

impl<'a> Profiles<'a> {
    /// Checks the flags, and reads the data and the model; `None` if no profile is to be written.
    ///
    /// # Errors
    /// `BOT-2269` (exit 2) for standard input, which can be read only once; those of reading data and models.
    pub(super) fn read(args: &'a Args, context: &'a Context) -> Result<Option<Self>> {
        if args.out.is_none() && args.shard.is_none() {
            return Ok(None);
        }
        if args.data == Path::new("-") {
            let message = "the data is read twice, and standard input can be read only once";
            return Err(Fault::usage("BOT-2269", message).hint("write it to a file first"));
        }
        let inputs = [Some(args.data.as_path()), args.against.as_deref()];
        outputs::distinct_outputs(&[args.out.as_deref(), args.html.as_deref()], &inputs)?;
        output(args).map_or(Ok(()), |output| output.check())?;
        let text = if args.model.is_some() { Presence::Required } else { Presence::Optional };
        let options = ReadOptions { text, ..args.columns.options(Presence::Optional) };
        let data = Data::read(context, &args.data, &options)?;
        let found = match &args.model {
            Some(name) => Some(model_arg::load(context, name)?),
            None => None,
        };
        Ok(Some(Self { args, context, data, found, options }))
    }

    /// Writes a part to the store, or merges all; `None` if the profile is made in one pass.
    ///
    /// # Errors
    /// `BOT-2267` (exit 3) a part is missing; `BOT-2260` (exit 3) one is damaged; those of the store and of writing.
    pub(super) fn in_parts(&self) -> Result<Option<Outcome>> {
        match (self.args.shard, self.args.merge) {
            (Some(shard), _) => self.write_part(shard).map(Some),
            (None, Some(n)) => self.merge(n).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn model(&self) -> Option<(&botops_models::IntentModel, Digest)> {
        self.found.as_ref().map(|found| (&found.model, found.digest))
    }

    /// Makes the profile in one pass, and writes it. Returns the name of the file.
    pub(super) fn write(&self) -> Result<Option<String>> {
        let mut profile = self.data.profile(self.model(), None)?;
        profile.finish();
        self.write_file(&profile)
    }

    fn write_file(&self, profile: &ReferenceProfile) -> Result<Option<String>> {
        let bytes = profile.to_bytes()?;
        match output(self.args).filter(|_| !self.args.dry_run) {
            Some(output) => {
                output.write(&bytes)?;
                Ok(self.args.out.as_ref().map(|out| out.shown()))
            }
            None => Ok(None),
        }
    }

    /// Returns the folder of the parts in the store: those of the same data, model, flags and number of parts.
    fn folder(&self, n: u32) -> String {
        let model = self.found.as_ref().map(|found| found.digest);
        let settings = format!("{:?}", self.options);
        let key = Digest::of_json(&(self.data.digest(), model, settings, n));
        format!("jobs/profiles/{}", &key.hex()[..32])
    }

    fn write_part(&self, shard: Shard) -> Result<Outcome> {
        let profile = self.data.profile(self.model(), Some(shard))?;
        let object = format!("{}/{:04}.json", self.folder(shard.n), shard.index);
        let bytes = profile.to_bytes()?;
        let part = format!("{}/{}", shard.index, shard.n);
        let rows = tables::counted(profile.columns.n_rows(), "record", "records");
        let (mut existed, mut text) = (false, format!("part {part}: {rows}, not written\n"));
        if !self.args.dry_run {
            let registry = self.context.registry()?;
            let created = registry.store().create(&object, bytes.into());
            existed = !self.context.wait(created)??;
            let done = if existed { "was there already" } else { "is in the store" };
            text = format!("part {part}: {rows}, {done}\n");
        }
        let answer = Answer {
            shard: Some(part),
            object: (!self.args.dry_run).then_some(object),
            existed,
            merged: None,
            records: profile.columns.n_rows(),
            out: None,
        };
        Ok(Outcome::done(&answer, text))
    }

    fn merge(&self, n: u32) -> Result<Outcome> {
        let folder = self.folder(n);
        let registry = self.context.registry()?;
        let store = registry.store();
        let object = |index: u32| format!("{folder}/{index:04}.json");
        let parts = self.context.wait(async {
            let mut parts = Vec::new();
            for index in 0..n {
                parts.push(store.read(&object(index)).await?);
            }
            Ok::<_, Fault>(parts)
        })??;
        let missing: Vec<String> =
            (0..n).filter(|i| parts[*i as usize].is_none()).map(|i| format!("{i}/{n}")).collect();
        if let Some(first) = missing.first() {
            let message = format!(
                "{} of {n} parts of this profile are not in the store, the first is {first}",
                missing.len()
            );
            return Err(Fault::data("BOT-2267", message)
                .hint(format!("run it again: `--shard {first}`, with the same data and flags")));
        }
        let mut merged: Option<ReferenceProfile> = None;
        for (index, bytes) in parts.iter().flatten().enumerate() {
            let place = |fault: Fault| fault.file(object(index as u32));
            let part = ReferenceProfile::from_bytes(bytes).map_err(place)?;
            match &mut merged {
                Some(merged) => merged.merge(&part).map_err(place)?,
                None => merged = Some(part),
            }
        }
        let mut merged = merged.unwrap_or_else(|| {
            ReferenceProfile::new(botops_monitoring::ReferenceSource::Data, Vec::new())
        });
        merged.finish();
        let out = self.write_file(&merged)?;
        if out.is_some() {
            // Parts hold words that only one person used.
            self.context.wait(async {
                for index in 0..n {
                    store.remove(&object(index)).await?;
                }
                Ok::<_, Fault>(())
            })??;
        }
        let rows = tables::counted(merged.columns.n_rows(), "record", "records");
        let wrote = out.as_ref().map_or(String::new(), |out| format!("wrote {out}\n"));
        let answer = Answer {
            shard: None,
            object: None,
            existed: false,
            merged: Some(n),
            records: merged.columns.n_rows(),
            out,
        };
        Ok(Outcome::done(&answer, format!("{n} parts: {rows}\n{wrote}")))
    }
}

fn output(args: &Args) -> Option<Output<'_>> {
    args.out.as_deref().map(|path| Output::new(path, OutputKind::Json("reference"), args.force))
}
