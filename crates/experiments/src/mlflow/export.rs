//! The export of one run: the same MLflow run, however often it is repeated.

use super::{
    Mlflow, MlflowRun,
    client::{Answer, Retry},
    translate::{CONTENT_TAG, RUN_TAG, pairs},
};
use crate::Experiments;
use botops_findings::{Fault, Result};
use serde::Serialize;
use serde_json::{Value, json};

/// The most params in one request of the API.
const MAX_PARAMS: usize = 100;
/// The most tags in one request of the API.
const MAX_TAGS: usize = 100;
/// The most metrics in one request of the API.
const MAX_METRICS: usize = 1_000;
/// The most lookups of an experiment or a run after requests whose outcome is unknown.
const LOOKUPS: usize = 3;

/// The result of an export.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// The id of the MLflow experiment.
    pub experiment_id: String,
    /// The id of the MLflow run.
    pub run_id: String,
    /// The URL of the page of the run.
    pub page: String,
    /// The effect of the export.
    pub outcome: Outcome,
    /// The number of files sent.
    pub files_sent: u64,
    /// The scheme of the file store, such as `s3`, if the server has no artifact proxy. No files are sent then.
    pub files_elsewhere: Option<String>,
}

/// The effect of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It created the run.
    Created,
    /// It completed a run that an earlier export had begun, or updated one with other content.
    Completed,
    /// The run was complete, and nothing was written.
    Unchanged,
}

/// A run on the server.
struct Found {
    run_id: String,
    artifact_uri: String,
    content: Option<String>,
    is_over: bool,
}

impl Mlflow {
    /// Exports `run` to the experiment named `experiment`, which is created if it does not exist. Files are read from
    /// `experiments` and sent through the artifact proxy of the server; `sent` gets the name of each.
    ///
    /// # Errors
    /// `BOT-5041` the server cannot be reached (exit 7), `BOT-5042` it refused the credentials (exit 6), `BOT-5043` it
    /// refused a request for another reason (exit 1), `BOT-5045` the experiment was deleted (exit 2); those of the store.
    pub async fn export(
        &self,
        run: &MlflowRun,
        experiment: &str,
        experiments: &Experiments,
        sent: &(dyn Fn(&str) + Sync),
    ) -> Result<Exported> {
        let experiment_id = self.experiment(experiment).await?;
        let (found, is_new) = self.run(&experiment_id, run).await?;
        let content = run.content().to_string();
        let exported = |outcome, files_sent, files_elsewhere| Exported {
            page: format!("{}/#/experiments/{experiment_id}/runs/{}", self.url(), found.run_id),
            experiment_id: experiment_id.clone(),
            run_id: found.run_id.clone(),
            outcome,
            files_sent,
            files_elsewhere,
        };
        let proxied = proxied(&found.artifact_uri);
        let elsewhere = (proxied.is_none() && !run.artifacts.is_empty())
            .then(|| found.artifact_uri.split("://").next().unwrap_or_default().to_owned());
        if found.is_over && found.content.as_ref() == Some(&content) {
            return Ok(exported(Outcome::Unchanged, 0, elsewhere));
        }
        self.log(&found.run_id, run).await?;
        let mut n_sent = 0;
        if let Some(root) = proxied {
            for (path, artifact) in &run.artifacts {
                let bytes = experiments.artifact(artifact).await?;
                let path: Vec<&str> =
                    root.iter().map(String::as_str).chain(path.split('/')).collect();
                self.put(&path, &bytes).await?.done()?;
                n_sent += 1;
                sent(&artifact.name);
            }
        }
        // This tag comes last: a run without it is not complete.
        let tags = json!([{"key": CONTENT_TAG, "value": content}]);
        let batch = json!({"run_id": found.run_id, "tags": tags});
        self.post(&["runs", "log-batch"], &batch, Retry::Safe).await?.done()?;
        let ended = json!({"run_id": found.run_id, "status": run.status, "end_time": run.end_time});
        self.post(&["runs", "update"], &ended, Retry::Safe).await?.done()?;
        let outcome = if is_new { Outcome::Created } else { Outcome::Completed };
        Ok(exported(outcome, n_sent, elsewhere))
    }

    /// Returns the id of the experiment named `name`, and creates it if it does not exist.
    async fn experiment(&self, name: &str) -> Result<String> {
        let mut last = None;
        for _ in 0..LOOKUPS {
            match self.get(&["experiments", "get-by-name"], &[("experiment_name", name)]).await? {
                Answer::Done(found) => {
                    let experiment = &found["experiment"];
                    if experiment["lifecycle_stage"] == "deleted" {
                        let message =
                            format!("the experiment `{name}` was deleted on the tracking server");
                        return Err(Fault::usage("BOT-5045", message)
                            .hint("restore it there, or choose another with `--experiment`"));
                    }
                    return self.text(experiment, "experiment_id");
                }
                Answer::Refused { code, .. } if code == "RESOURCE_DOES_NOT_EXIST" => {}
                other => {
                    other.done()?;
                }
            }
            match self
                .post(&["experiments", "create"], &json!({"name": name}), Retry::Unsafe)
                .await?
            {
                Answer::Done(made) => return self.text(&made, "experiment_id"),
                // Another client created it in the meantime, or an earlier attempt did.
                Answer::Refused { code, fault } if code == "RESOURCE_ALREADY_EXISTS" => {
                    last = Some(fault)
                }
                Answer::Refused { fault, .. } => return Err(fault),
                Answer::Unknown(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| self.unfinished(name)))
    }

    /// Returns the MLflow run of `run`, and whether this call created it.
    async fn run(&self, experiment_id: &str, run: &MlflowRun) -> Result<(Found, bool)> {
        let mut last = None;
        for _ in 0..LOOKUPS {
            if let Some(found) = self.find(experiment_id, &run.run_name).await? {
                // After a lost answer, this may be the run that was just created.
                return Ok((found, last.is_some()));
            }
            let begun = json!({
                "experiment_id": experiment_id,
                "start_time": run.start_time,
                "run_name": run.run_name,
                "tags": [{"key": RUN_TAG, "value": run.run_name}],
            });
            match self.post(&["runs", "create"], &begun, Retry::Unsafe).await? {
                Answer::Done(made) => return Ok((self.found(&made["run"])?, true)),
                Answer::Refused { fault, .. } => return Err(fault),
                Answer::Unknown(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| self.unfinished(&run.run_name)))
    }

    /// Returns the run with the tag of `run_name`; among several, the one with the lowest id.
    async fn find(&self, experiment_id: &str, run_name: &str) -> Result<Option<Found>> {
        let query = json!({
            "experiment_ids": [experiment_id],
            "filter": format!("tags.`{RUN_TAG}` = '{run_name}'"),
            "max_results": 100,
        });
        let answer = self.post(&["runs", "search"], &query, Retry::Safe).await?.done()?;
        let runs = answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found = runs.iter().map(|run| self.found(run)).collect::<Result<Vec<_>>>()?;
        found.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        Ok(found.into_iter().next())
    }

    /// Reads a run from an answer.
    fn found(&self, run: &Value) -> Result<Found> {
        let info = &run["info"];
        let tags = run["data"]["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
        let content = tags.iter().find(|tag| tag["key"] == CONTENT_TAG);
        Ok(Found {
            run_id: self.text(info, "run_id")?,
            artifact_uri: info["artifact_uri"].as_str().unwrap_or_default().to_owned(),
            content: content.and_then(|tag| tag["value"].as_str()).map(str::to_owned),
            is_over: matches!(info["status"].as_str(), Some("FINISHED" | "FAILED")),
        })
    }

    /// Logs params, metrics and tags, each request within the limits of the API.
    async fn log(&self, run_id: &str, run: &MlflowRun) -> Result<()> {
        let metrics: Vec<Value> = run.metrics.iter().map(|metric| json!(metric)).collect();
        for (kind, members, most) in [
            ("tags", pairs(&run.tags), MAX_TAGS),
            ("params", pairs(&run.params), MAX_PARAMS),
            ("metrics", metrics, MAX_METRICS),
        ] {
            for members in members.chunks(most) {
                let batch = json!({"run_id": run_id, kind: members});
                self.post(&["runs", "log-batch"], &batch, Retry::Safe).await?.done()?;
            }
        }
        Ok(())
    }

    /// Returns a text member of an answer.
    fn text(&self, object: &Value, member: &str) -> Result<String> {
        object[member].as_str().map(str::to_owned).ok_or_else(|| {
            let message =
                format!("the answer of the tracking server at `{}` has no `{member}`", self.url());
            Fault::internal("BOT-5043", message)
                .hint("is it an MLflow server of version 2 or later?")
        })
    }

    /// The fault of an experiment or a run that can be neither found nor created.
    fn unfinished(&self, name: &str) -> Fault {
        let message =
            format!("the tracking server at `{}` neither finds nor creates `{name}`", self.url());
        Fault::internal("BOT-5043", message).hint("see the log of the server for details")
    }
}

/// Returns the folder of the artifact proxy that `uri` names; `None` if the server has no proxy for it.
fn proxied(uri: &str) -> Option<Vec<String>> {
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    // `mlflow-artifacts:/1/run/artifacts`, or with the name of the server: `mlflow-artifacts://host:5000/1/run/artifacts`.
    let path = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').map_or("", |(_, path)| path),
        None => rest,
    };
    Some(path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::proxied;

    #[test]
    fn both_forms_of_an_artifact_address_are_read() {
        let folder = Some(vec!["1".to_owned(), "ab".to_owned(), "artifacts".to_owned()]);
        assert_eq!(proxied("mlflow-artifacts:/1/ab/artifacts"), folder);
        assert_eq!(proxied("mlflow-artifacts://host:5000/1/ab/artifacts"), folder);
        assert_eq!(proxied("s3://bucket/1/ab/artifacts"), None);
        assert_eq!(proxied("/mnt/mlruns/1/ab/artifacts"), None);
    }
}
