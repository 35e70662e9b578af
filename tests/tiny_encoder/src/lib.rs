//! Test support: the files of a tiny encoder, with random weights and a WordPiece tokenizer of letters, pieces and some
//! banking words.
//!
//! It depends on no other crate of botops, so that the tests of every crate can use the same encoder.

use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// The configuration of a tiny encoder; tests change a field, or the files, to break it.
#[derive(Clone)]
pub struct Tiny {
    /// The family: `bert` or `distilbert`.
    pub family: &'static str,
    /// The prefix of tensor names, such as `bert.`.
    pub prefix: &'static str,
    /// Whether the parameters of norms are named `gamma` and `beta`, as in old checkpoints.
    pub old_norm_names: bool,
    /// The type of stored weights: F32, F16 or BF16.
    pub dtype: Dtype,
    /// The activation: `gelu`, `gelu_new` or `relu`.
    pub activation: &'static str,
    /// The size of a token's hidden state.
    pub hidden_size: usize,
    /// The number of layers.
    pub n_layers: usize,
    /// The number of attention heads.
    pub n_heads: usize,
    /// The size of the feed-forward layer.
    pub intermediate_size: usize,
    /// The number of position embeddings.
    pub max_positions: usize,
    /// The seed of the weights.
    pub seed: u64,
}

/// The words that are single tokens.
const WORDS: [&str; 32] = [
    "card", "lost", "my", "is", "the", "a", "i", "to", "how", "do", "what", "why", "payment",
    "failed", "top", "up", "transfer", "money", "account", "exchange", "rate", "cash", "pin",
    "change", "where", "not", "working", "refund", "please", "when", "arrive", "new",
];

impl Tiny {
    /// Returns a small BERT encoder.
    pub fn bert() -> Self {
        Self {
            family: "bert",
            prefix: "",
            old_norm_names: false,
            dtype: Dtype::F32,
            activation: "gelu",
            hidden_size: 32,
            n_layers: 2,
            n_heads: 4,
            intermediate_size: 64,
            max_positions: 128,
            seed: 7,
        }
    }

    /// Returns a small DistilBERT encoder.
    pub fn distilbert() -> Self {
        Self { family: "distilbert", prefix: "distilbert.", ..Self::bert() }
    }

    /// Returns the files of the encoder by their path within its folder.
    pub fn files(&self) -> BTreeMap<&'static str, Vec<u8>> {
        BTreeMap::from([
            ("config.json", self.config().to_string().into_bytes()),
            ("tokenizer.json", Self::tokenizer().to_string().into_bytes()),
            ("model.safetensors", self.safetensors(&self.tensors())),
            (
                "1_Pooling/config.json",
                json!({"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})
                    .to_string()
                    .into_bytes(),
            ),
        ])
    }

    /// Writes the files of the encoder to `folder`.
    pub fn write(&self, folder: &Path) {
        for (name, bytes) in self.files() {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a file has a parent folder"))
                .expect("the folder can be created");
            fs::write(path, bytes).expect("the file can be written");
        }
    }

    /// Returns the contents of `config.json`.
    pub fn config(&self) -> Value {
        let n_tokens = Self::vocabulary().len();
        match self.family {
            "bert" => json!({
                "model_type": "bert", "hidden_size": self.hidden_size, "num_hidden_layers": self.n_layers,
                "num_attention_heads": self.n_heads, "intermediate_size": self.intermediate_size,
                "vocab_size": n_tokens, "max_position_embeddings": self.max_positions, "type_vocab_size": 2,
                "layer_norm_eps": 1e-12, "hidden_act": self.activation, "hidden_dropout_prob": 0.1,
                "attention_probs_dropout_prob": 0.1,
            }),
            _ => json!({
                "model_type": "distilbert", "dim": self.hidden_size, "n_layers": self.n_layers,
                "n_heads": self.n_heads, "hidden_dim": self.intermediate_size, "vocab_size": n_tokens,
                "max_position_embeddings": self.max_positions, "activation": self.activation, "dropout": 0.1,
                "attention_dropout": 0.1,
            }),
        }
    }

    /// Returns the tokens in the order of their ids.
    pub fn vocabulary() -> Vec<String> {
        let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "?", "!", ".", ",", "'"]
            .map(str::to_owned);
        let letters = ('a'..='z').chain('0'..='9');
        let pieces = letters.flat_map(|letter| [letter.to_string(), format!("##{letter}")]);
        let mut tokens: Vec<String> = special.into_iter().chain(pieces).collect();
        tokens.extend(WORDS.into_iter().filter(|word| word.len() > 1).map(str::to_owned));
        tokens
    }

    /// Returns the contents of `tokenizer.json`, with padding and truncation that botops must ignore.
    pub fn tokenizer() -> Value {
        let tokens = Self::vocabulary();
        let ids: BTreeMap<&str, usize> =
            tokens.iter().enumerate().map(|(id, token)| (token.as_str(), id)).collect();
        let added: Vec<Value> = tokens[..5]
            .iter()
            .enumerate()
            .map(|(id, content)| {
                json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                       "normalized": false, "special": true})
            })
            .collect();
        let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
        json!({
            "version": "1.0",
            "truncation": {"max_length": 12, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
            "padding": {"strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                        "pad_type_id": 0, "pad_token": "[PAD]"},
            "added_tokens": added,
            "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                           "strip_accents": null, "lowercase": true},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]")],
                "pair": [special("[CLS]"), {"Sequence": {"id": "A", "type_id": 0}}, special("[SEP]"),
                         {"Sequence": {"id": "B", "type_id": 1}}, special("[SEP]")],
                "special_tokens": {
                    "[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                    "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]},
                },
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100, "vocab": ids},
        })
    }

    /// Returns the tensors as (name, shape, values), with the names of the family.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (hidden, wide) = (self.hidden_size, self.intermediate_size);
        let mut random = Random(self.seed);
        let mut all = Vec::new();
        let mut add = |name: String, shape: &[usize], middle: f32, reach: f32| {
            let n_values = shape.iter().product();
            let values = (0..n_values).map(|_| middle + reach * random.symmetric()).collect();
            all.push((format!("{}{name}", self.prefix), shape.to_vec(), values));
        };
        let norm = if self.old_norm_names { ["gamma", "beta"] } else { ["weight", "bias"] };
        let bert = self.family == "bert";
        add(
            "embeddings.word_embeddings.weight".to_owned(),
            &[Self::vocabulary().len(), hidden],
            0.0,
            1.0,
        );
        add(
            "embeddings.position_embeddings.weight".to_owned(),
            &[self.max_positions, hidden],
            0.0,
            0.3,
        );
        if bert {
            add("embeddings.token_type_embeddings.weight".to_owned(), &[2, hidden], 0.0, 0.3);
        }
        add(format!("embeddings.LayerNorm.{}", norm[0]), &[hidden], 1.0, 0.3);
        add(format!("embeddings.LayerNorm.{}", norm[1]), &[hidden], 0.0, 0.3);
        for layer in 0..self.n_layers {
            let blocks = match bert {
                true => [
                    "attention.self.query",
                    "attention.self.key",
                    "attention.self.value",
                    "attention.output.dense",
                    "attention.output.LayerNorm",
                    "intermediate.dense",
                    "output.dense",
                    "output.LayerNorm",
                ],
                false => [
                    "attention.q_lin",
                    "attention.k_lin",
                    "attention.v_lin",
                    "attention.out_lin",
                    "sa_layer_norm",
                    "ffn.lin1",
                    "ffn.lin2",
                    "output_layer_norm",
                ],
            };
            let stack = if bert { "encoder.layer" } else { "transformer.layer" };
            let (square, up, down) = ([hidden, hidden], [wide, hidden], [hidden, wide]);
            let shapes = [
                Some(square),
                Some(square),
                Some(square),
                Some(square),
                None,
                Some(up),
                Some(down),
                None,
            ];
            for (block, shape) in blocks.into_iter().zip(shapes) {
                match shape {
                    Some([n_out, n_in]) => {
                        let reach = 1.7 / (n_in as f32).sqrt();
                        add(format!("{stack}.{layer}.{block}.weight"), &[n_out, n_in], 0.0, reach);
                        add(format!("{stack}.{layer}.{block}.bias"), &[n_out], 0.0, 0.2);
                    }
                    None => {
                        add(format!("{stack}.{layer}.{block}.{}", norm[0]), &[hidden], 1.0, 0.3);
                        add(format!("{stack}.{layer}.{block}.{}", norm[1]), &[hidden], 0.0, 0.3);
                    }
                }
            }
        }
        // A tensor of checkpoints that does not belong to the encoder.
        add("pooler.dense.weight".to_owned(), &[hidden, hidden], 0.0, 0.1);
        all
    }

    /// Returns the contents of `model.safetensors` with `tensors`, stored as `dtype`.
    pub fn safetensors(&self, tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
        let bytes: Vec<Vec<u8>> = tensors
            .iter()
            .map(|(_, _, values)| values.iter().flat_map(|value| self.stored(*value)).collect())
            .collect();
        let views = tensors.iter().zip(&bytes).map(|((name, shape, _), bytes)| {
            (
                name,
                TensorView::new(self.dtype, shape.clone(), bytes).expect("shape and bytes agree"),
            )
        });
        safetensors::serialize(views, None).expect("the tensors can be written")
    }

    fn stored(&self, value: f32) -> Vec<u8> {
        match self.dtype {
            Dtype::BF16 => ((value.to_bits() >> 16) as u16).to_le_bytes().to_vec(),
            // Truncated instead of rounded, and without subnormals, which is enough for a test.
            Dtype::F16 => {
                let bits = value.to_bits();
                let exponent = (bits >> 23 & 0xff) as i32 - 127 + 15;
                let sign = (bits >> 16 & 0x8000) as u16;
                let half = if exponent <= 0 {
                    sign
                } else {
                    sign | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16
                };
                half.to_le_bytes().to_vec()
            }
            _ => value.to_le_bytes().to_vec(),
        }
    }
}

/// The linear congruential generator of Knuth's MMIX, which gives the same values on every machine.
struct Random(u64);

impl Random {
    /// Draws from [-1, 1).
    fn symmetric(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    }
}
