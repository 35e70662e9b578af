use super::{json, record, record_path, train, workspace};
use crate::servers::MlflowServer;
use serde_json::{Value, json as value};
use std::{collections::BTreeMap, fs};

/// Sends a request as any client does.
async fn ask(server: &MlflowServer, path: &str, body: Option<Value>) -> Value {
    let client = reqwest::Client::new();
    let url = format!("{}/api/2.0/mlflow/{path}", server.url());
    let request = match body {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    request.send().await.unwrap().json().await.unwrap()
}

/// Returns the runs of the experiment `id`.
async fn runs(server: &MlflowServer, id: &Value) -> Vec<Value> {
    let found = ask(server, "runs/search", Some(value!({"experiment_ids": [id]}))).await;
    found["runs"].as_array().cloned().unwrap_or_default()
}

fn pairs(run: &Value, kind: &str) -> BTreeMap<String, Value> {
    let members = run["data"][kind].as_array().unwrap();
    let pair =
        |member: &Value| (member["key"].as_str().unwrap().to_owned(), member["value"].clone());
    members.iter().map(pair).collect()
}

/// One test for everything, because the server takes long to start.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_exported_repeatedly_is_on_the_server_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let Some(server) = MlflowServer::start() else { return };
    let terminal = workspace();
    terminal.write("expectations.yaml", "version: 1\nmax_rejected_share: 0.5\n").write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n  - validate: {data: train.csv}\n  - split: {from: validate}\n  \
         - train: {from: split}\n  - evaluate: {model: train, on: split}\n  - shell: {run: 'echo x > \"$BOTOPS_OUTPUT/a b#é.txt\"'}\n",
    );
    let run = json(&terminal, 0, "run p.yaml")["data"]["run"].as_str().unwrap().to_owned();
    // More params than one request may hold, and values that are long, empty or have special characters.
    let mut many = record(&terminal, &run);
    for i in 0..230 {
        many["params"][format!("model.class_weights.where? n°{i}")] = value!(i);
    }
    many["params"]["long"] = value!("é".repeat(7_000));
    many["params"]["empty"] = value!("");
    fs::write(record_path(&terminal, &run), many.to_string()).unwrap();

    let export =
        format!("runs export {run} --to mlflow --url {}/ --experiment \"our bots\"", server.url());
    let first = json(&terminal, 0, &export)["data"]["exported"].clone();
    assert_eq!(first["outcome"], "created");
    let experiment = first["experiment_id"].clone();
    let found = runs(&server, &experiment).await;
    assert_eq!(found.len(), 1);
    let info = &found[0]["info"];
    assert_eq!((&info["run_name"], &info["status"]), (&value!(run), &value!("FINISHED")));
    let tags = pairs(&found[0], "tags");
    assert_eq!(tags["botops.run_id"], run.as_str());
    assert_eq!(tags["botops.data.test"], many["data"]["test"]);
    let metrics = pairs(&found[0], "metrics");
    assert_eq!(metrics["accuracy"], many["metrics"]["accuracy"]["value"]);
    assert_eq!(metrics["accuracy.ci95_upper"], many["metrics"]["accuracy"]["ci95"][1]);
    let params = pairs(&found[0], "params");
    assert_eq!(params.len(), many["params"].as_object().unwrap().len());
    assert_eq!(params["model.class_weights.where_ n_229"], "229");
    assert_eq!(params["long"].as_str().unwrap().chars().count(), 6_000);

    // The server returns every file, byte for byte.
    let artifacts = many["artifacts"].as_array().unwrap();
    assert_eq!(first["files_sent"], artifacts.len());
    let run_id = first["run_id"].as_str().unwrap();
    for artifact in artifacts {
        let name = artifact["name"].as_str().unwrap().replace(['#', 'é'], "_");
        let id = experiment.as_str().unwrap();
        let url = format!(
            "{}/api/2.0/mlflow-artifacts/artifacts/{id}/{run_id}/artifacts/{name}",
            server.url()
        );
        let bytes = reqwest::get(url).await.unwrap().bytes().await.unwrap();
        let digest = botops_digest::Digest::of(&bytes).to_string();
        assert_eq!(artifact["digest"], digest, "{name}");
    }
    assert!(artifacts.iter().any(|artifact| artifact["name"] == "shell/a b#é.txt"));

    let second = json(&terminal, 0, &export)["data"]["exported"].clone();
    assert_eq!((&second["outcome"], &second["run_id"]), (&value!("unchanged"), &first["run_id"]));
    // The state after an export that was interrupted.
    let cut = value!({"run_id": run_id, "key": "botops.exported"});
    ask(&server, "runs/delete-tag", Some(cut)).await;
    ask(&server, "runs/update", Some(value!({"run_id": run_id, "status": "RUNNING"}))).await;
    let third = json(&terminal, 0, &export)["data"]["exported"].clone();
    assert_eq!((&third["outcome"], &third["run_id"]), (&value!("completed"), &first["run_id"]));
    let found = runs(&server, &experiment).await;
    assert_eq!((found.len(), &found[0]["info"]["status"]), (1, &value!("FINISHED")));
    assert_eq!(pairs(&found[0], "metrics"), metrics);

    // Another run, into the experiment named after the model, without files, to the address in the environment.
    let other = train(&terminal, "--test test.csv");
    let mut command =
        terminal.command(&format!("--format json runs export {other} --to mlflow --no-files"));
    command.env("MLFLOW_TRACKING_URI", server.url());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&document["data"]["experiment"], &document["data"]["exported"]["files_sent"]),
        (&value!("support"), &value!(0))
    );
    let listed = ask(
        &server,
        &format!(
            "artifacts/list?run_id={}",
            document["data"]["exported"]["run_id"].as_str().unwrap()
        ),
        None,
    )
    .await;
    assert_eq!(listed.get("files"), None);

    // An experiment that was deleted on the server accepts no run.
    ask(&server, "experiments/delete", Some(value!({"experiment_id": experiment}))).await;
    let deleted = terminal.run(&export);
    assert!(deleted.starts_with("exit: 2\n") && deleted.contains("was deleted"), "{deleted}");
}
