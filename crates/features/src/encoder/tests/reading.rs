//! Files and parts: reading them, and the messages for invalid ones.

use super::*;

#[test]
fn every_family_and_naming_scheme_gives_the_same_names() {
    let names = |tiny: &Tiny| -> Vec<String> {
        encoder(tiny).tensors().into_iter().map(|tensor| tensor.name).collect()
    };
    let bert = names(&Tiny::bert());
    assert_eq!(bert.len(), 5 + 2 * 16);
    assert_eq!(bert[..3], ["embeddings.word", "embeddings.position", "embeddings.token_type"]);
    assert_eq!(bert[5..8], ["layers.0.query.weight", "layers.0.query.bias", "layers.0.key.weight"]);
    assert_eq!(bert, names(&Tiny { prefix: "bert.", old_norm_names: true, ..Tiny::bert() }));
    let distilbert = names(&Tiny::distilbert());
    assert_eq!(
        distilbert,
        bert.into_iter().filter(|name| !name.ends_with("token_type")).collect::<Vec<_>>()
    );
}

#[test]
fn weights_have_their_names_and_values() {
    let tiny = Tiny::bert();
    let file = tiny.tensors();
    let of = |name: &str| file.iter().find(|(other, ..)| other == name).unwrap().2.clone();
    let ours = encoder(&tiny).tensors();
    let our = |name: &str| ours.iter().find(|tensor| tensor.name == name).unwrap().clone();
    for (name, theirs) in [
        ("embeddings.word", "embeddings.word_embeddings.weight"),
        ("embeddings.norm.bias", "embeddings.LayerNorm.bias"),
        ("layers.1.key.weight", "encoder.layer.1.attention.self.key.weight"),
        ("layers.1.output.weight", "encoder.layer.1.attention.output.dense.weight"),
        ("layers.1.attention_norm.weight", "encoder.layer.1.attention.output.LayerNorm.weight"),
        ("layers.1.up.weight", "encoder.layer.1.intermediate.dense.weight"),
        ("layers.1.down.bias", "encoder.layer.1.output.dense.bias"),
        ("layers.1.output_norm.weight", "encoder.layer.1.output.LayerNorm.weight"),
    ] {
        assert_eq!(our(name).values, of(theirs), "{name}");
    }
    assert_eq!(our("layers.0.up.weight").shape, [64, 32]);
}

#[test]
fn half_precision_is_read_exactly() {
    let exact = encoder(&Tiny::bert()).tensors();
    for (dtype, closeness) in [(Dtype::F16, 1.0 / 1024.0), (Dtype::BF16, 1.0 / 128.0)] {
        for (half, single) in encoder(&Tiny { dtype, ..Tiny::bert() }).tensors().iter().zip(&exact)
        {
            for (half, single) in half.values.iter().zip(&single.values) {
                let bound = single.abs() * closeness + 7e-5;
                assert!((half - single).abs() <= bound, "{dtype:?}: {half} for {single}");
            }
        }
    }
    // IEEE 754 binary16: 1, the largest, the smallest normal and subnormal, and 1/3 (0x3555).
    let known =
        [(0x3c00, 1.0), (0x7bff, 65504.0), (0x0400, 6.103_515_6e-5), (0x8001, -5.960_464_5e-8)];
    for (bits, value) in known.into_iter().chain([(0x3555, 0.333_251_95)]) {
        assert_eq!(weights::half_to_single(bits), value);
    }
    assert!(
        weights::half_to_single(0x7e00).is_nan()
            && weights::half_to_single(0xfc00) == f32::NEG_INFINITY
    );
}

#[test]
fn the_parts_of_an_encoder_make_the_same_encoder() {
    for tiny in [Tiny::bert(), Tiny::distilbert()] {
        let one = encoder(&tiny);
        let other = Encoder::from_parts(&one.parts()).unwrap();
        assert_eq!(one.digest(), other.digest());
        assert_eq!(one.tensors(), other.tensors());
        assert_eq!(one.config(), other.config());
        assert_eq!(one.parts().metadata, other.parts().metadata);
    }
}

#[test]
fn the_digest_covers_everything_that_decides_an_embedding() {
    let tiny = Tiny::bert();
    let one = encoder(&tiny);
    assert_eq!(one.digest(), encoder(&tiny).digest());
    let with = |pooling, max_tokens, normalise| {
        let tensors = one.tensors();
        Encoder::from_tensors(
            one.config().clone(),
            one.tokenizer_json(),
            tensors,
            pooling,
            max_tokens,
            normalise,
        )
        .unwrap()
        .digest()
    };
    assert_eq!(with(Pooling::Mean, 128, true), one.digest());
    let mut tensors = one.tensors();
    tensors[36].values[31] += 1e-6;
    let nudged = Encoder::from_tensors(
        one.config().clone(),
        one.tokenizer_json(),
        tensors,
        Pooling::Mean,
        128,
        true,
    );
    let others = [
        with(Pooling::Cls, 128, true),
        with(Pooling::Mean, 127, true),
        with(Pooling::Mean, 128, false),
        nudged.unwrap().digest(),
        encoder(&Tiny { seed: 8, ..tiny.clone() }).digest(),
        encoder(&Tiny { activation: "relu", ..tiny }).digest(),
    ];
    for (place, other) in others.iter().enumerate() {
        assert!(*other != one.digest() && !others[..place].contains(other), "{place}");
    }
}

#[test]
fn tokens_have_special_tokens_at_both_ends_and_no_padding() {
    let encoder = encoder(&Tiny::bert());
    let vocabulary = Tiny::vocabulary();
    let spelled = |text: &str| -> Vec<String> {
        encoder.tokenise(&[text])[0].iter().map(|&id| vocabulary[id as usize].clone()).collect()
    };
    assert_eq!(spelled("My CARD is lost!"), ["[CLS]", "my", "card", "is", "lost", "!", "[SEP]"]);
    assert_eq!(spelled("cab 𒀀"), ["[CLS]", "c", "##a", "##b", "[UNK]", "[SEP]"]);
    assert_eq!(spelled(""), ["[CLS]", "[SEP]"]);
    let long = "card ".repeat(500);
    assert_eq!(encoder.tokenise(&[&long])[0].len(), 128);
    let two = EncoderSpec { max_tokens: 2, ..EncoderSpec::new("tiny") };
    let short = Encoder::new(&files(&Tiny::bert().files()), &two).unwrap();
    assert_eq!(short.tokenise(&["my card"])[0], [2, 3]);
}

#[test]
fn the_pooling_is_that_of_the_spec_or_the_folder_or_the_mean() {
    let read = |pooling: Option<&str>, expected| {
        let files = EncoderFiles {
            pooling: pooling.map(|json| json.as_bytes().to_vec()),
            ..files(&Tiny::bert().files())
        };
        let spec = EncoderSpec { pooling: expected, ..EncoderSpec::new("tiny") };
        Encoder::new(&files, &spec).map(|encoder| encoder.pooling())
    };
    let cls = r#"{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}"#;
    assert_eq!(read(None, None).unwrap(), Pooling::Mean);
    assert_eq!(read(Some(cls), None).unwrap(), Pooling::Cls);
    assert_eq!(read(Some(r#"{"pooling_mode": "cls"}"#), None).unwrap(), Pooling::Cls);
    assert_eq!(read(Some(cls), Some(Pooling::Mean)).unwrap(), Pooling::Mean);
    let max = r#"{"pooling_mode_max_tokens": true}"#;
    let fault = read(Some(max), None).unwrap_err();
    assert_eq!(
        fault.message(),
        "the encoder's pooling is `max_tokens`; botops supports `mean` and `cls`"
    );
    assert_eq!(read(Some(max), Some(Pooling::Cls)).unwrap(), Pooling::Cls);
    assert_eq!(read(Some("{}"), None).unwrap_err().code(), "BOT-7021");
}

#[test]
fn a_folder_is_read_and_a_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::bert();
    tiny.write(folder.path());
    let read = EncoderFiles::read(folder.path()).unwrap();
    assert_eq!(read.weights, tiny.files()["model.safetensors"]);
    assert!(read.pooling.is_some());
    for name in ["model.safetensors", "tokenizer.json", "config.json"] {
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let fault = EncoderFiles::read(folder.path()).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7020", FaultKind::Usage));
        assert_eq!(fault.message(), format!("the encoder's folder has no `{name}`"));
        assert!(!fault.hints().is_empty());
    }
    let fault = EncoderFiles::read(&folder.path().join("nowhere")).unwrap_err();
    assert_eq!(fault.message(), "the encoder's folder does not exist");
}

#[test]
fn an_unsupported_config_is_refused_with_the_supported_values() {
    let change = |key: &'static str, value: serde_json::Value| {
        refused(&Tiny::bert(), move |files| {
            let mut config: serde_json::Value = serde_json::from_slice(&files.config).unwrap();
            config[key] = value.clone();
            files.config = config.to_string().into_bytes();
        })
    };
    let fault = change("model_type", "roberta".into());
    assert_eq!(fault.code(), "BOT-7021");
    assert_eq!(
        fault.message(),
        "the encoder's config has the family `roberta`; botops supports `bert` (BERT, MiniLM) and `distilbert`"
    );
    for (key, value, expected) in [
        ("hidden_act", "silu".into(), "uses the activation `silu`"),
        ("position_embedding_type", "relative_key".into(), "uses `relative_key` positions"),
        (
            "num_attention_heads",
            5.into(),
            "has 5 attention heads, which do not divide its hidden size of 32",
        ),
        ("num_hidden_layers", 0.into(), "has a number of layers of 0"),
        ("hidden_size", u64::MAX.into(), "has a hidden size of 18446744073709551615"),
        ("type_vocab_size", 0.into(), "has 0 token types"),
        ("layer_norm_eps", 0.into(), "has a `layer_norm_eps` of 0"),
        ("hidden_dropout_prob", 1.into(), "has a dropout of 1"),
        ("is_decoder", true.into(), "is that of a decoder"),
        ("vocab_size", (-3).into(), "cannot be read: invalid value: integer `-3`"),
    ] {
        let fault = change(key, value);
        assert_eq!((fault.code(), fault.kind()), ("BOT-7021", FaultKind::Gate));
        assert!(fault.message().contains(expected), "{}", fault.message());
    }
    let fault = refused(&Tiny::bert(), |files| files.config.truncate(20));
    assert!(fault.message().starts_with("the encoder's config is not JSON"), "{}", fault.message());
}

#[test]
fn weights_that_do_not_fit_the_config_are_refused() {
    let tiny = Tiny::bert();
    let fault = refused(&tiny, |files| files.weights.truncate(files.weights.len() - 1));
    assert_eq!(fault.code(), "BOT-7022");
    assert!(fault.hints()[0].contains("truncated"), "{:?}", fault.hints());
    for cut in [0, 7, 8, 100] {
        assert_eq!(refused(&tiny, |files| files.weights.truncate(cut)).code(), "BOT-7022");
    }
    let other = Tiny { hidden_size: 16, ..tiny.clone() };
    let fault = refused(&tiny, |files| files.weights = other.files()["model.safetensors"].clone());
    assert_eq!(
        fault.message(),
        "the encoder's weights have `embeddings.word_embeddings.weight` with shape [112, 16], but the config requires [112, 32]"
    );
    let shorter = Tiny { n_layers: 1, ..tiny.clone() };
    let fault =
        refused(&tiny, |files| files.weights = shorter.files()["model.safetensors"].clone());
    assert_eq!(
        fault.message(),
        "the encoder's weights have no `encoder.layer.1.attention.self.query.weight`"
    );
    let mut twice = tiny.tensors();
    twice.push((format!("bert.{}", twice[0].0), twice[0].1.clone(), twice[0].2.clone()));
    let fault = refused(&tiny, |files| files.weights = tiny.safetensors(&twice));
    assert!(fault.message().contains("hold a tensor twice"), "{}", fault.message());
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    let tiny = Tiny::distilbert();
    for bad in [f32::NAN, f32::INFINITY] {
        let mut tensors = tiny.tensors();
        tensors[9].2[3] = bad;
        let fault = refused(&tiny, |files| files.weights = tiny.safetensors(&tensors));
        assert_eq!((fault.code(), fault.kind()), ("BOT-7023", FaultKind::Gate));
        assert!(
            fault
                .message()
                .ends_with("in `distilbert.transformer.layer.0.attention.v_lin.bias`, at value 3"),
            "{}",
            fault.message()
        );
    }
}

#[test]
fn the_tokenizer_of_another_model_is_refused() {
    let change = |change: fn(&mut serde_json::Value)| {
        refused(&Tiny::bert(), move |files| {
            let mut tokenizer: serde_json::Value =
                serde_json::from_slice(&files.tokenizer).unwrap();
            change(&mut tokenizer);
            files.tokenizer = tokenizer.to_string().into_bytes();
        })
    };
    for (fault, expected) in [
        (
            change(|json| json["model"]["vocab"]["zebra"] = 112.into()),
            "gives `zebra` the id 112, but the encoder has 112 embeddings",
        ),
        (
            change(|json| {
                json["model"]["vocab"]
                    .as_object_mut()
                    .unwrap()
                    .retain(|_, id| id.as_u64() < Some(80))
            }),
            "has 80 tokens, but the encoder has 112 embeddings",
        ),
        (
            change(|json| json["post_processor"] = serde_json::Value::Null),
            "adds 0 special tokens to a text",
        ),
        (
            change(|json| json["model"]["unk_token"] = "<none>".into()),
            "has no token for unknown words",
        ),
        (change(|json| json["model"]["type"] = "Nothing".into()), "is JSON, but not a tokenizer"),
    ] {
        assert_eq!((fault.code(), fault.kind()), ("BOT-7024", FaultKind::Gate));
        assert!(fault.message().contains(expected), "{}", fault.message());
    }
}

#[test]
fn max_tokens_outside_its_range_is_refused() {
    let read = |max_tokens| {
        let spec = EncoderSpec { max_tokens, ..EncoderSpec::new("tiny") };
        Encoder::new(&files(&Tiny::bert().files()), &spec)
    };
    assert!(read(128).is_ok());
    for (max_tokens, expected) in
        [(129, "not from 2 to 128"), (1, "no room for the special tokens"), (0, "no room")]
    {
        let fault = read(max_tokens).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7025", FaultKind::Usage));
        assert!(fault.message().contains(expected), "{}", fault.message());
    }
    assert_eq!(EncoderSpec::new(" ").check().unwrap_err().code(), "BOT-7025");
}

#[test]
fn parts_that_contradict_each_other_are_refused() {
    let one = encoder(&Tiny::bert());
    let broken = |change: &dyn Fn(&mut EncoderParts<'_>)| {
        let mut parts = one.parts();
        change(&mut parts);
        Encoder::from_parts(&parts).unwrap_err()
    };
    let metadata = |key: &str, value: serde_json::Value| {
        broken(&|parts| {
            let mut json: serde_json::Value = serde_json::from_slice(&parts.metadata).unwrap();
            json[key] = value.clone();
            parts.metadata = json.to_string().into_bytes().into();
        })
    };
    assert_eq!(metadata("schema", "botops.encoder/2".into()).kind(), FaultKind::Policy);
    assert_eq!(metadata("schema", "else".into()).code(), "BOT-7021");
    assert_eq!(metadata("max_tokens", 129.into()).code(), "BOT-7025");
    assert_eq!(metadata("extra", 1.into()).code(), "BOT-7021");
    let mut config = serde_json::to_value(one.config()).unwrap();
    config["n_layers"] = 1.into();
    let fault = metadata("config", config.clone());
    assert!(fault.message().contains("hold `layers.1."), "{}", fault.message());
    config["n_layers"] = 3.into();
    assert!(metadata("config", config).message().ends_with("have no `layers.2.query.weight`"));
    assert_eq!(broken(&|parts| parts.weights.to_mut().truncate(99)).code(), "BOT-7022");
    let fault = broken(&|parts| parts.tokenizer.to_mut().truncate(99));
    assert_eq!(fault.code(), "BOT-7024");
    assert_eq!(fault.message(), "the encoder's tokenizer is truncated");
    assert_eq!(fault.place().file.as_deref(), Some("tokenizer.json"));
    assert!(fault.place().line.is_some() && fault.hints()[0].contains("download it again"));
}

#[test]
fn a_spec_is_read_with_its_defaults_and_unknown_keys_are_refused() {
    let spec: EncoderSpec =
        serde_json::from_str(r#"{"source": "hf://a/b", "pooling": "cls"}"#).unwrap();
    assert_eq!(spec, EncoderSpec { pooling: Some(Pooling::Cls), ..EncoderSpec::new("hf://a/b") });
    assert_eq!(spec.max_tokens, 128);
    assert!(serde_json::from_str::<EncoderSpec>(r#"{"source": "x", "layers": 3}"#).is_err());
}
