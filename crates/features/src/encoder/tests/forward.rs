//! The forward pass compared with the definition in double precision, with candle, and with itself.

use super::*;
use statrs::function::erf::erf;
use std::collections::HashMap;

const TEXTS: [&str; 7] = [
    "my card is lost",
    "",
    "how do i top up?",
    "where is the money i transfer to my account, and why is the exchange rate not the rate of when i do the transfer",
    "pin",
    "refund please!",
    "what is the the the the the the the a a a zebra 99 x y z, x. y? z!",
];

/// Returns encoders of both families with every activation, some with sizes that are not multiples of a vector.
fn encoders() -> Vec<(Tiny, Pooling, bool)> {
    let odd =
        Tiny { hidden_size: 20, n_heads: 4, intermediate_size: 37, n_layers: 3, ..Tiny::bert() };
    vec![
        (Tiny::bert(), Pooling::Mean, true),
        (Tiny::distilbert(), Pooling::Cls, true),
        (odd.clone(), Pooling::Mean, false),
        (Tiny { activation: "gelu_new", family: "distilbert", ..odd.clone() }, Pooling::Mean, true),
        (Tiny { activation: "relu", hidden_size: 33, n_heads: 1, ..odd }, Pooling::Cls, false),
        (
            Tiny { hidden_size: 48, n_heads: 2, intermediate_size: 500, ..Tiny::bert() },
            Pooling::Cls,
            true,
        ),
    ]
}

fn build(tiny: &Tiny, pooling: Pooling, normalise: bool) -> Encoder {
    let read = encoder(tiny);
    Encoder::from_tensors(
        read.config().clone(),
        read.tokenizer_json(),
        read.tensors(),
        pooling,
        128,
        normalise,
    )
    .unwrap()
}

/// An encoder by its definition, as plain loops in double precision.
struct Reference {
    tensors: HashMap<String, Vec<f64>>,
    config: EncoderConfig,
}

impl Reference {
    fn of(encoder: &Encoder) -> Self {
        let tensors = encoder
            .tensors()
            .into_iter()
            .map(|tensor| (tensor.name, tensor.values.into_iter().map(f64::from).collect()))
            .collect();
        Self { tensors, config: encoder.config().clone() }
    }

    fn linear(&self, name: &str, rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let (weight, bias) =
            (&self.tensors[&format!("{name}.weight")], &self.tensors[&format!("{name}.bias")]);
        let dot =
            |row: &[f64], weight: &[f64]| row.iter().zip(weight).map(|(x, w)| x * w).sum::<f64>();
        rows.iter()
            .map(|row| weight.chunks(row.len()).zip(bias).map(|(w, b)| dot(row, w) + b).collect())
            .collect()
    }

    fn norm(&self, name: &str, rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let (weight, bias) =
            (&self.tensors[&format!("{name}.weight")], &self.tensors[&format!("{name}.bias")]);
        rows.into_iter()
            .map(|row| {
                let n = row.len() as f64;
                let mean = row.iter().sum::<f64>() / n;
                let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
                let scale = 1.0 / (variance + self.config.layer_norm_eps).sqrt();
                row.iter()
                    .zip(weight)
                    .zip(bias)
                    .map(|((x, w), b)| (x - mean) * scale * w + b)
                    .collect()
            })
            .collect()
    }

    fn attention(&self, q: &[Vec<f64>], k: &[Vec<f64>], v: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let size = self.config.head_size();
        let mut context = vec![vec![0.0; self.config.hidden_size]; q.len()];
        for head in (0..self.config.n_heads).map(|head| head * size..(head + 1) * size) {
            for (q, context) in q.iter().zip(&mut context) {
                let scores: Vec<f64> = k
                    .iter()
                    .map(|k| head.clone().map(|i| q[i] * k[i]).sum::<f64>() / (size as f64).sqrt())
                    .map(f64::exp)
                    .collect();
                let sum: f64 = scores.iter().sum();
                for (score, v) in scores.iter().zip(v) {
                    head.clone().for_each(|i| context[i] += score / sum * v[i]);
                }
            }
        }
        context
    }

    fn embed(&self, tokens: &[u32], pooling: Pooling, normalise: bool) -> Vec<f64> {
        let hidden = self.config.hidden_size;
        let row = |name: &str, at: usize| match self.tensors.get(&format!("embeddings.{name}")) {
            Some(table) => table[at * hidden..][..hidden].to_vec(),
            None => vec![0.0; hidden],
        };
        let add = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<f64>>();
        let rows = tokens
            .iter()
            .enumerate()
            .map(|(at, token)| {
                add(
                    &add(&row("word", *token as usize), &row("position", at)),
                    &row("token_type", 0),
                )
            })
            .collect();
        let mut rows = self.norm("embeddings.norm", rows);
        for layer in 0..self.config.n_layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let [q, k, v] = ["query", "key", "value"].map(|part| self.linear(&name(part), &rows));
            let out = self.linear(&name("output"), &self.attention(&q, &k, &v));
            let residual = rows.iter().zip(&out).map(|(a, b)| add(a, b)).collect();
            rows = self.norm(&name("attention_norm"), residual);
            let mut wide = self.linear(&name("up"), &rows);
            for x in wide.iter_mut().flatten() {
                *x = match self.config.activation {
                    Activation::GeluErf => 0.5 * *x * (1.0 + erf(*x / std::f64::consts::SQRT_2)),
                    Activation::GeluTanh => {
                        let y = (2.0 / std::f64::consts::PI).sqrt() * (*x + 0.044_715 * x.powi(3));
                        0.5 * *x * (1.0 + y.tanh())
                    }
                    Activation::Relu => x.max(0.0),
                };
            }
            let residual = rows
                .iter()
                .zip(&self.linear(&name("down"), &wide))
                .map(|(a, b)| add(a, b))
                .collect();
            rows = self.norm(&name("output_norm"), residual);
        }
        let mut embedding = match pooling {
            Pooling::Cls => rows.swap_remove(0),
            Pooling::Mean => {
                let n = rows.len() as f64;
                rows.iter()
                    .fold(vec![0.0; hidden], |sum, row| add(&sum, row))
                    .iter()
                    .map(|x| x / n)
                    .collect()
            }
        };
        if normalise {
            let length = embedding.iter().map(|x| x * x).sum::<f64>().sqrt();
            embedding.iter_mut().for_each(|x| *x /= length);
        }
        embedding
    }
}

#[test]
fn embeddings_equal_the_definition_in_double_precision() {
    for (tiny, pooling, normalise) in encoders() {
        let encoder = build(&tiny, pooling, normalise);
        let reference = Reference::of(&encoder);
        let embeddings = encoder.embed(&TEXTS, &|_| ());
        assert_eq!(embeddings.len(), TEXTS.len() * tiny.hidden_size);
        for (ours, tokens) in embeddings.chunks(tiny.hidden_size).zip(encoder.tokenise(&TEXTS)) {
            for (ours, exact) in ours.iter().zip(reference.embed(&tokens, pooling, normalise)) {
                assert!((f64::from(*ours) - exact).abs() < 1e-5, "{ours} for {exact}");
            }
        }
    }
}

#[test]
fn embeddings_equal_those_of_candle() {
    use candle_core::{Device, Tensor};
    use candle_nn::ops::{layer_norm_slow, softmax};
    let tiny = Tiny::bert();
    let encoder = build(&tiny, Pooling::Mean, false);
    let tensors: HashMap<String, Tensor> = encoder
        .tensors()
        .into_iter()
        .map(|tensor| {
            (tensor.name, Tensor::from_vec(tensor.values, tensor.shape, &Device::Cpu).unwrap())
        })
        .collect();
    let get = |name: &str| &tensors[name];
    let linear = |x: &Tensor, name: &str| {
        x.matmul(&get(&format!("{name}.weight")).t().unwrap())
            .and_then(|x| x.broadcast_add(get(&format!("{name}.bias"))))
            .unwrap()
    };
    let norm = |x: &Tensor, name: &str| {
        layer_norm_slow(x, get(&format!("{name}.weight")), get(&format!("{name}.bias")), 1e-12)
            .unwrap()
    };
    for text in TEXTS {
        let tokens = encoder.tokenise(&[text]).remove(0);
        let n = tokens.len();
        let ids = Tensor::from_vec(tokens, n, &Device::Cpu).unwrap();
        let word = get("embeddings.word").index_select(&ids, 0).unwrap();
        let position = get("embeddings.position").narrow(0, 0, n).unwrap();
        let kind = get("embeddings.token_type").narrow(0, 0, 1).unwrap();
        let sum = word.broadcast_add(&kind).and_then(|x| x + position).unwrap();
        let mut x = norm(&sum, "embeddings.norm");
        for layer in 0..tiny.n_layers {
            let name = |part: &str| format!("layers.{layer}.{part}");
            let [q, k, v] = ["query", "key", "value"].map(|part| {
                let heads = linear(&x, &name(part)).reshape((n, tiny.n_heads, ()));
                heads.and_then(|x| x.transpose(0, 1)?.contiguous()).unwrap()
            });
            let scores = (q.matmul(&k.t().unwrap()).unwrap()
                / ((tiny.hidden_size / tiny.n_heads) as f64).sqrt())
            .unwrap();
            let context = softmax(&scores, 2).and_then(|scores| scores.matmul(&v)).unwrap();
            let context =
                context.transpose(0, 1).and_then(|x| x.contiguous()?.reshape((n, ()))).unwrap();
            x = norm(&(x + linear(&context, &name("output"))).unwrap(), &name("attention_norm"));
            let wide = linear(&x, &name("up")).gelu_erf().unwrap();
            x = norm(&(x + linear(&wide, &name("down"))).unwrap(), &name("output_norm"));
        }
        let theirs: Vec<f32> = x.mean(0).and_then(|x| x.to_vec1()).unwrap();
        for (ours, theirs) in encoder.embed(&[text], &|_| ()).iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} for {theirs}");
        }
    }
}

#[test]
fn a_text_has_the_same_embedding_alone_and_in_any_batch() {
    for (tiny, pooling, normalise) in encoders() {
        let encoder = build(&tiny, pooling, normalise);
        let alone: Vec<f32> =
            TEXTS.iter().flat_map(|text| encoder.embed(&[text], &|_| ())).collect();
        let reversed: Vec<&str> = TEXTS.into_iter().rev().collect();
        let embed = |texts: &[&str]| encoder.embed(texts, &|_| ());
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&alone), bits(&embed(&TEXTS)));
        let turned: Vec<f32> =
            embed(&reversed).chunks(tiny.hidden_size).rev().flatten().copied().collect();
        assert_eq!(bits(&alone), bits(&turned));
        let many: Vec<&str> = TEXTS.iter().cycle().take(40 * TEXTS.len()).copied().collect();
        for repeated in embed(&many).chunks(alone.len()) {
            assert_eq!(bits(&alone), bits(repeated));
        }
        let mut scratch = EncoderScratch::default();
        for (text, alone) in TEXTS.iter().zip(alone.chunks(tiny.hidden_size)) {
            assert_eq!(bits(alone), bits(encoder.embed_one(text, &mut scratch)), "{text}");
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_and_every_text_is_counted() {
    let encoder = encoder(&Tiny::bert());
    let texts: Vec<&str> = TEXTS.iter().cycle().take(500).copied().collect();
    let embed = |n_threads| {
        let done = std::sync::atomic::AtomicU64::new(0);
        let advance = |n| {
            done.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let embeddings = pool.install(|| encoder.embed(&texts, &advance));
        assert_eq!(done.into_inner(), 500);
        embeddings.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    let one = embed(1);
    assert!([2, 3, 8].into_iter().all(|n_threads| embed(n_threads) == one));
    assert!(encoder.embed(&[], &|_| ()).is_empty());
}

#[test]
fn one_scratch_serves_encoders_of_different_sizes() {
    let mut scratch = EncoderScratch::default();
    for (tiny, pooling, normalise) in encoders().into_iter().chain(encoders()) {
        let encoder = build(&tiny, pooling, normalise);
        assert_eq!(encoder.embed_one(TEXTS[3], &mut scratch), encoder.embed(&[TEXTS[3]], &|_| ()));
    }
}

#[test]
fn normalised_embeddings_have_length_one() {
    let encoder = encoder(&Tiny::distilbert());
    for embedding in encoder.embed(&TEXTS, &|_| ()).chunks(encoder.dim()) {
        let length = embedding.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
}

#[test]
#[should_panic(expected = "the tokens are those of this encoder's tokenizer")]
fn tokens_beyond_the_vocabulary_are_a_bug_of_the_caller() {
    let _ = encoder(&Tiny::bert()).embed_tokens(&[vec![2, 112, 3]], &|_| ());
}
