//! One run of ours becomes one run over there, however often it is exported.

use super::{
    Mlflow, MlflowRun,
    client::{Again, Answer},
    translate::{CONTENT_TAG, RUN_TAG, pairs},
};
use crate::Experiments;
use botops_findings::{Fault, Result};
use serde::Serialize;
use serde_json::{Value, json};

/// What one request of the API takes: params, tags, metrics.
const MOST_PARAMS: usize = 100;
const MOST_TAGS: usize = 100;
const MOST_METRICS: usize = 1_000;
/// How often an experiment or a run is looked for again after a request whose outcome is not known.
const LOOKS: usize = 3;

/// What an export came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exported {
    /// The experiment over there.
    pub experiment_id: String,
    /// The run over there.
    pub run_id: String,
    /// Its page.
    pub page: String,
    /// What was done.
    pub outcome: Outcome,
    /// Files sent.
    pub files_sent: u64,
    /// Where the server wants files that it does not take itself; then none were sent.
    pub files_elsewhere: Option<String>,
}

/// What an export did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It made a run.
    Created,
    /// It went on with a run that an earlier export had begun, or that has other content.
    Completed,
    /// Everything was there already: nothing was written.
    Unchanged,
}

/// A run as found over there.
struct Found {
    run_id: String,
    artifact_uri: String,
    content: Option<String>,
    is_over: bool,
}

impl Mlflow {
    /// Exports `run` into the experiment called `experiment`, which is made if it is not there. `files`, by their path over
    /// there, are read from `experiments` and sent through the server's artifact proxy; `sent` hears of each.
    ///
    /// # Errors
    /// `BOT-5041` unreachable (exit 7), `BOT-5042` refused (exit 6), `BOT-5043` anything else the server says no to (exit 1);
    /// those of the store.
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
        // Last, so that an export that ended before is known for unfinished.
        let tags = json!([{"key": CONTENT_TAG, "value": content}]);
        let batch = json!({"run_id": found.run_id, "tags": tags});
        self.post(&["runs", "log-batch"], &batch, Again::Safe).await?.done()?;
        let ended = json!({"run_id": found.run_id, "status": run.status, "end_time": run.end_time});
        self.post(&["runs", "update"], &ended, Again::Safe).await?.done()?;
        let outcome = if is_new { Outcome::Created } else { Outcome::Completed };
        Ok(exported(outcome, n_sent, elsewhere))
    }

    /// Returns the id of the experiment called `name`, made if it is not there.
    async fn experiment(&self, name: &str) -> Result<String> {
        let mut last = None;
        for _ in 0..LOOKS {
            match self.get(&["experiments", "get-by-name"], &[("experiment_name", name)]).await? {
                Answer::Done(found) => {
                    let experiment = &found["experiment"];
                    if experiment["lifecycle_stage"] == "deleted" {
                        let message =
                            format!("the experiment `{name}` was deleted on the tracking server");
                        return Err(Fault::usage("BOT-5045", message)
                            .hint("restore it there, or name another with `--experiment`"));
                    }
                    return self.text(experiment, "experiment_id");
                }
                Answer::Refused { code, .. } if code == "RESOURCE_DOES_NOT_EXIST" => {}
                other => {
                    other.done()?;
                }
            }
            match self
                .post(&["experiments", "create"], &json!({"name": name}), Again::Unsafe)
                .await?
            {
                Answer::Done(made) => return self.text(&made, "experiment_id"),
                // Somebody else made it meanwhile, or an earlier try did.
                Answer::Refused { code, fault } if code == "RESOURCE_ALREADY_EXISTS" => {
                    last = Some(fault)
                }
                Answer::Refused { fault, .. } => return Err(fault),
                Answer::Unknown(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| self.unfinished(name)))
    }

    /// Returns the run that `run` is, or becomes, over there, and whether it was made now.
    async fn run(&self, experiment_id: &str, run: &MlflowRun) -> Result<(Found, bool)> {
        let mut last = None;
        for _ in 0..LOOKS {
            if let Some(found) = self.find(experiment_id, &run.run_name).await? {
                // After a lost answer, the run there is may be the one just made.
                return Ok((found, last.is_some()));
            }
            let begun = json!({
                "experiment_id": experiment_id,
                "start_time": run.start_time,
                "run_name": run.run_name,
                "tags": [{"key": RUN_TAG, "value": run.run_name}],
            });
            match self.post(&["runs", "create"], &begun, Again::Unsafe).await? {
                Answer::Done(made) => return Ok((self.found(&made["run"])?, true)),
                Answer::Refused { fault, .. } => return Err(fault),
                Answer::Unknown(fault) => last = Some(fault),
            }
        }
        Err(last.unwrap_or_else(|| self.unfinished(&run.run_name)))
    }

    /// Looks for the run that has our tag; of several, the one with the lowest id.
    async fn find(&self, experiment_id: &str, run_name: &str) -> Result<Option<Found>> {
        let query = json!({
            "experiment_ids": [experiment_id],
            "filter": format!("tags.`{RUN_TAG}` = '{run_name}'"),
            "max_results": 100,
        });
        let answer = self.post(&["runs", "search"], &query, Again::Safe).await?.done()?;
        let runs = answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut found = runs.iter().map(|run| self.found(run)).collect::<Result<Vec<_>>>()?;
        found.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        Ok(found.into_iter().next())
    }

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
            ("tags", pairs(&run.tags), MOST_TAGS),
            ("params", pairs(&run.params), MOST_PARAMS),
            ("metrics", metrics, MOST_METRICS),
        ] {
            for members in members.chunks(most) {
                let batch = json!({"run_id": run_id, kind: members});
                self.post(&["runs", "log-batch"], &batch, Again::Safe).await?.done()?;
            }
        }
        Ok(())
    }

    fn text(&self, object: &Value, member: &str) -> Result<String> {
        object[member].as_str().map(str::to_owned).ok_or_else(|| {
            let message =
                format!("the tracking server at `{}` answers without `{member}`", self.url());
            Fault::internal("BOT-5043", message)
                .hint("is it an MLflow server of version 2 or later?")
        })
    }

    fn unfinished(&self, what: &str) -> Fault {
        let message =
            format!("the tracking server at `{}` neither finds nor makes `{what}`", self.url());
        Fault::internal("BOT-5043", message).hint("look at the server's log")
    }
}

/// Returns the folder behind the server's artifact proxy that `uri` names, if it is there that it wants files.
fn proxied(uri: &str) -> Option<Vec<String>> {
    let rest = uri.strip_prefix("mlflow-artifacts:")?;
    // `mlflow-artifacts:/1/run/artifacts`, or with the server's own name: `mlflow-artifacts://host:5000/1/run/artifacts`.
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
    fn the_proxied_folder_is_read_from_either_form_of_its_address() {
        let folder = Some(vec!["1".to_owned(), "ab".to_owned(), "artifacts".to_owned()]);
        assert_eq!(proxied("mlflow-artifacts:/1/ab/artifacts"), folder);
        assert_eq!(proxied("mlflow-artifacts://host:5000/1/ab/artifacts"), folder);
        assert_eq!(proxied("s3://bucket/1/ab/artifacts"), None);
        assert_eq!(proxied("/mnt/mlruns/1/ab/artifacts"), None);
    }
}
