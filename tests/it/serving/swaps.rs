//! A hundred hot swaps under load: no request fails, and each answer comes from the model whose digest it names.

use super::{admin, assert_number, corpus, deployments, http, models, registry, serve};
use botops_digest::Digest;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_under_load_fail_nothing_and_every_answer_names_its_model() {
    let models = models();
    let (registry, versions) = registry(&[&models[0], &models[1], &models[2]]).await;
    // A rollback returns only to former champions, so each has been one.
    for pair in versions.windows(2) {
        let proof = registry.proof(&pair[1]).await.unwrap();
        let from = Some(pair[0].manifest_digest);
        registry.promote(&pair[1], from, &proof, &super::act()).await.unwrap();
    }
    let running = serve(&registry).await;
    let client = admin(&running);
    let url = format!("http://{}/v1/predict", running.address());
    let stop = Arc::new(AtomicBool::new(false));
    let loads: Vec<_> = (0..4_u64)
        .map(|worker| {
            let (stop, url) = (Arc::clone(&stop), url.clone());
            tokio::spawn(async move {
                let client = http();
                let texts = corpus(64, 1_000 + worker);
                let mut answers = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let (text, _) = &texts[answers.len() % texts.len()];
                    let request = client.post(&url).bearer_auth(super::TOKEN);
                    let answer = request.json(&json!({"text": text})).send().await.unwrap();
                    assert_eq!(answer.status(), 200);
                    let header = answer.headers()["x-botops-digest"].to_str().unwrap().to_owned();
                    let body: Value = answer.json().await.unwrap();
                    assert_eq!(body["digest"], header);
                    answers.push((text.clone(), body));
                }
                answers
            })
        })
        .collect();
    for swap in 0..100 {
        let version = format!("support@{}", 1 + (swap + 1) % 3);
        let restored = client.roll_back("support", Some(&version), "ada", "a swap").await.unwrap();
        assert_eq!(restored.to, version);
    }
    stop.store(true, Ordering::Relaxed);
    let by_digest: BTreeMap<String, _> = models
        .iter()
        .map(|model| (Digest::of(&model.to_bytes()).to_string(), Arc::clone(model)))
        .collect();
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for load in loads {
        for (text, body) in load.await.unwrap() {
            let digest = body["digest"].as_str().unwrap();
            let model = &by_digest[digest];
            let want = model.predict(&text);
            let got = &body["predictions"][0];
            assert_eq!(got["intent"], model.labels().name(want.intent), "{text} by {digest}");
            assert_number(&got["confidence"], want.confidence, &text);
            *seen.entry(digest.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 3, "each model answered: {seen:?}");
    let log = deployments(&registry).await;
    let moves = log.iter().filter(|entry| entry.payload.champion().is_some()).count();
    assert_eq!(moves, 103, "the log records each move");
    running.shutdown().await;
}
