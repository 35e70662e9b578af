//! The fused network compared with candle's operations, finite differences, and itself on other threads.

use super::*;
use crate::encoder::tests::encoder;
use botops_tiny_encoder::Tiny;

const TEXTS: [&str; 5] = [
    "my card is lost",
    "why",
    "how do i change the pin of my new card, please?",
    "top up failed",
    "a b c d e f g",
];

/// Returns an encoder so wide that sums and rows need several pieces.
fn wide() -> Tiny {
    Tiny { hidden_size: 48, n_heads: 3, intermediate_size: 80, ..Tiny::bert() }
}

fn network(tiny: &Tiny, frozen: Frozen, implementation: Implementation) -> (Network, Packed) {
    let encoder = encoder(tiny);
    let tensors = encoder.tensors();
    let mut network =
        Network::new(encoder.config(), &tensors, encoder.pooling(), frozen, &Device::Cpu).unwrap();
    network.implementation = implementation;
    let tokens = encoder.tokenise(&TEXTS);
    // More rows than one piece of 64 holds.
    let texts = tokens.iter().chain(&tokens).chain(&tokens);
    (network, Packed::new((0_u64..).zip(texts.map(Vec::as_slice))))
}

/// Returns a number that depends on every pooled value, each with another weight.
fn probe(pooled: &Tensor) -> Tensor {
    let n = pooled.elem_count();
    let weights: Vec<f32> = (0..n).map(|i| ((i * 7_919 % 97) as f32 - 48.0) / 97.0).collect();
    let weights = Tensor::from_vec(weights, pooled.shape(), pooled.device()).unwrap();
    (pooled * weights).unwrap().sum_all().unwrap()
}

fn gradients(
    network: &Network,
    batch: &Packed,
    dropout: Option<&Dropout>,
) -> Vec<(String, Vec<f32>)> {
    let pass = network.train(batch.clone(), dropout.copied()).unwrap();
    let mut found = probe(&pass.pooled).backward().unwrap();
    let mut gradients = network.gradients();
    network.add_gradients(pass, &mut found, &mut gradients).unwrap();
    let trained = network.parameters().iter().filter(|parameter| parameter.trained);
    trained
        .zip(&gradients)
        .map(|(parameter, gradient)| {
            let gradient =
                gradient.here().unwrap_or_else(|| panic!("{} has no gradient", parameter.name));
            assert_eq!(gradient.len(), parameter.var.elem_count());
            (parameter.name.clone(), gradient.to_vec())
        })
        .collect()
}

fn trained(network: &Network, batch: &Packed, dropout: Option<&Dropout>) -> Vec<f32> {
    values(&network.train(batch.clone(), dropout.copied()).unwrap().pooled)
}

fn inferred(network: &Network, batch: &Packed) -> Vec<f32> {
    values(&network.infer(batch).unwrap())
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// Returns the length of `a - b` divided by the length of `b`.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let apart: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    let length: f64 = b.iter().map(|b| square(f64::from(*b))).sum();
    (apart / length).sqrt()
}

#[test]
fn the_fused_network_has_the_values_and_gradients_of_the_composed_one() {
    let dropout = Dropout::of_step(0.2, 5, 3);
    for tiny in [
        Tiny::bert(),
        wide(),
        Tiny::distilbert(),
        Tiny { activation: "relu", ..Tiny::bert() },
        Tiny { activation: "gelu_new", ..Tiny::bert() },
    ] {
        for dropout in [None, Some(&dropout)] {
            let (fused, batch) = network(&tiny, Frozen::Nothing, Implementation::Fused);
            let (composed, _) = network(&tiny, Frozen::Nothing, Implementation::Composed);
            let [a, b] = [&fused, &composed].map(|network| trained(network, &batch, dropout));
            assert!(distance(&a, &b) < 1e-5, "{} {}", tiny.activation, distance(&a, &b));
            let ours = gradients(&fused, &batch, dropout);
            let expected = gradients(&composed, &batch, dropout);
            // Two or three tables, a norm, and ten parameters in each layer.
            assert_eq!(ours.len(), if tiny.family == "bert" { 24 } else { 23 });
            for ((name, ours), (_, expected)) in ours.iter().zip(&expected) {
                // The gradient of the keys' bias is 0: a softmax ignores a number added to all its scores.
                let [ours, expected] =
                    [ours, expected].map(|all| match name.ends_with("qkv.bias") {
                        true => [&all[..all.len() / 3], &all[2 * all.len() / 3..]].concat(),
                        false => all.clone(),
                    });
                let distance = distance(&ours, &expected);
                assert!(distance < 1e-4, "{} {name}: {distance}", tiny.family);
            }
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let (network, batch) = network(&Tiny::bert(), Frozen::Nothing, Implementation::Fused);
    let dropout = Dropout::of_step(0.1, 1, 1);
    let ours = gradients(&network, &batch, Some(&dropout));
    let value = || {
        let pooled = network.train(batch.clone(), Some(dropout)).unwrap().pooled.detach();
        f64::from(probe(&pooled).to_scalar::<f32>().unwrap())
    };
    for (parameter, (name, gradient)) in network.parameters().iter().zip(&ours) {
        // Along the gradient, the value rises by the length of the gradient times the step.
        let length = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        let start = parameter.var.as_detached_tensor().copy().unwrap();
        let direction = Tensor::from_slice(gradient, start.shape(), &Device::Cpu).unwrap();
        let at = |step: f64| {
            let moved = (&start + (&direction * (step / length)).unwrap()).unwrap();
            parameter.var.set(&moved).unwrap();
            value()
        };
        let step = 5e-3;
        let slope = (at(step) - at(-step)) / (2.0 * step);
        parameter.var.set(&start).unwrap();
        assert!((slope / length - 1.0).abs() < 2e-2, "{name}: {slope} {length}");
    }
}

#[test]
fn frozen_embeddings_have_no_gradient_and_the_others_are_unchanged() {
    let (whole, batch) = network(&Tiny::bert(), Frozen::Nothing, Implementation::Fused);
    let (part, _) = network(&Tiny::bert(), Frozen::Embeddings, Implementation::Fused);
    let (all, some) = (gradients(&whole, &batch, None), gradients(&part, &batch, None));
    assert_eq!(some.len(), 20);
    assert_eq!(all[4..], some);
}

#[test]
fn dropout_changes_training_and_not_inference() {
    let (network, batch) = network(&Tiny::bert(), Frozen::Nothing, Implementation::Fused);
    let plain = inferred(&network, &batch);
    assert_eq!(plain, trained(&network, &batch, None));
    let steps = [0, 1].map(|step| Dropout::of_step(0.1, 9, step));
    let dropped = steps.each_ref().map(|dropout| trained(&network, &batch, Some(dropout)));
    assert!(distance(&dropped[0], &plain) > 0.05);
    assert!(distance(&dropped[1], &dropped[0]) > 0.05);
    assert_eq!(dropped[0], trained(&network, &batch, Some(&steps[0])));
}

#[test]
fn every_site_drops_something() {
    let (mut network, batch) =
        network(&Tiny { n_layers: 1, ..Tiny::bert() }, Frozen::Nothing, Implementation::Fused);
    let dropout = Dropout::of_step(0.3, 2, 2);
    let sites = [
        Site::Embeddings,
        Site::Attention(0),
        Site::AttentionOutput(0),
        Site::LayerOutput(0),
        Site::Head,
    ];
    let masks: Vec<Vec<f32>> =
        sites.iter().map(|&site| dropout.mask(site).unwrap().factors(&[0, 1], 64)).collect();
    for (i, mask) in masks.iter().enumerate() {
        assert!(masks[..i].iter().all(|other| other != mask), "{:?}", sites[i]);
    }
    // Without layers, only the sites outside the layers drop values.
    let with = trained(&network, &batch, Some(&dropout));
    network.n_layers = 0;
    let [embedded, dropped] =
        [None, Some(&dropout)].map(|dropout| trained(&network, &batch, dropout));
    assert!(distance(&dropped, &embedded) > 0.05 && distance(&with, &dropped) > 0.05);
}

#[test]
fn a_batch_in_parts_drops_what_the_whole_drops() {
    let (network, batch) = network(&Tiny::bert(), Frozen::Embeddings, Implementation::Fused);
    let dropout = Dropout::of_step(0.1, 4, 7);
    let whole = trained(&network, &batch, Some(&dropout));
    let rows = |span: &packed::Span| &batch.ids[span.start..span.start + span.len];
    let mut parts = Vec::new();
    for spans in batch.spans.chunks(4) {
        let part = Packed::new(spans.iter().map(|span| (span.key, rows(span))));
        parts.extend(trained(&network, &part, Some(&dropout)));
    }
    assert!(distance(&parts, &whole) < 1e-6, "{}", distance(&parts, &whole));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let on = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let (network, batch) = network(&wide(), Frozen::Nothing, Implementation::Fused);
            let dropout = Dropout::of_step(0.1, 4, 7);
            let pooled = trained(&network, &batch, Some(&dropout));
            (pooled, gradients(&network, &batch, Some(&dropout)))
        })
    };
    let one = on(1);
    assert!(one == on(2) && one == on(3));
}

#[test]
fn the_weights_are_returned_unchanged() {
    for tiny in [Tiny::bert(), Tiny::distilbert()] {
        let encoder = encoder(&tiny);
        let (network, _) = network(&tiny, Frozen::Nothing, Implementation::Fused);
        let sorted = |mut tensors: Vec<EncoderTensor>| {
            tensors.sort_by(|a, b| a.name.cmp(&b.name));
            tensors
        };
        assert!(sorted(network.tensors().unwrap()) == sorted(encoder.tensors()));
    }
}

#[test]
fn pooling_takes_the_first_token_or_the_mean() {
    let (mut network, batch) = network(&Tiny::bert(), Frozen::Nothing, Implementation::Fused);
    let mean = inferred(&network, &batch);
    network.pooling = Pooling::Cls;
    let first = inferred(&network, &batch);
    network.implementation = Implementation::Composed;
    let composed = inferred(&network, &batch);
    assert!(distance(&first, &composed) < 1e-5);
    assert!(distance(&first, &mean) > 0.1);
}
