//! Model files that are truncated, altered, inconsistent, older or newer.

use super::{super::*, MODELS, corpus};
use crate::heads::head::Tensor;
use botops_digest::Digest;
use botops_findings::FaultKind;
use botops_spec::Spec as _;
use proptest::prelude::*;

#[test]
fn a_truncated_file_is_refused() {
    let bytes = MODELS[0].to_bytes();
    for end in (0..bytes.len()).step_by(97).chain(0..200).chain(bytes.len() - 64..bytes.len()) {
        let fault = IntentModel::from_bytes(&bytes[..end]).unwrap_err();
        let expected = if end == 0 { "BOT-7001" } else { "BOT-7002" };
        assert_eq!((fault.code(), fault.kind()), (expected, FaultKind::Gate), "cut at {end}");
    }
    let longer = [bytes.as_slice(), b"x"].concat();
    assert_eq!(IntentModel::from_bytes(&longer).unwrap_err().code(), "BOT-7002");
}

#[test]
fn other_files_and_newer_formats_have_different_codes() {
    assert_eq!(IntentModel::from_bytes(b"text,intent\n").unwrap_err().code(), "BOT-7001");
    let mut newer = MODELS[0].to_bytes();
    newer[8] = 5;
    let fault = IntentModel::from_bytes(&newer).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-7004", FaultKind::Policy));
    assert!(fault.message().contains("format 5"), "{fault}");
}

/// Returns the file after `change`, with a corrected digest at its end.
fn resealed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = MODELS[0].to_bytes();
    bytes.truncate(bytes.len() - 32);
    change(&mut bytes);
    let digest = Digest::of(&bytes);
    bytes.extend(digest.as_bytes());
    bytes
}

#[test]
fn a_reference_profile_is_a_part_that_changes_no_prediction() {
    let before = MODELS[0].to_bytes();
    let mut model = IntentModel::from_bytes(&before).unwrap();
    // A file without the part is written again byte by byte, and keeps its digest.
    assert_eq!((model.reference(), model.to_bytes() == before), (None, true));
    model.set_reference(b"{\"schema\":\"botops.reference/1\"}".to_vec());
    let bytes = model.to_bytes();
    assert_eq!(bytes[8..12], before[8..12], "older readers skip the part");
    let again = IntentModel::from_bytes(&bytes).unwrap();
    assert_eq!((again.reference(), again.to_bytes() == bytes), (model.reference(), true));
    assert_eq!(again.predict("where is my parcel"), MODELS[0].predict("where is my parcel"));
    let parts = part_digests(&bytes).unwrap();
    assert_eq!(parts.last().unwrap().0, "reference");
    assert_eq!(parts[..parts.len() - 1], part_digests(&before).unwrap());
    // Any altered byte of it is found.
    let mut altered = bytes;
    let at = altered.len() - 40;
    altered[at] ^= 1;
    assert_eq!(IntentModel::from_bytes(&altered).unwrap_err().code(), "BOT-7002");
    model.set_reference(vec![b' '; MOST_REFERENCE_BYTES]);
    assert!(IntentModel::from_bytes(&model.to_bytes()).is_ok());
}

#[test]
fn a_file_with_wrong_positions_of_parts_is_refused() {
    for (name, bytes) in [
        ("huge header", resealed(|bytes| bytes[12..16].fill(0xff))),
        ("no header", resealed(|bytes| bytes.truncate(12))),
        ("header of no length", resealed(|bytes| bytes[12..16].fill(0))),
        ("version 0", resealed(|bytes| bytes[8] = 0)),
        ("more than its parts", resealed(|bytes| bytes.push(0))),
        ("a part altered", resealed(|bytes| *bytes.last_mut().unwrap() ^= 1)),
        (
            "huge part",
            resealed(|bytes| {
                let text = String::from_utf8_lossy(&bytes[16..1_200]).into_owned();
                let at = 16 + text.find("\"length\":").unwrap() + 9;
                bytes[at] = b'9';
            }),
        ),
    ] {
        let fault = IntentModel::from_bytes(&bytes).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-7003", FaultKind::Gate), "{name}");
    }
}

#[test]
fn parts_that_do_not_fit_each_other_are_refused() {
    let bytes = MODELS[2].to_bytes();
    let (parts, _) = file::read(&bytes).unwrap();
    const NAMES: [&str; 7] =
        ["labels", "lineage", "calibration", "dialogue", "goldens", "vocabulary", "weights"];
    let with = |name: &str, changed: &[u8]| {
        let parts: Vec<(&str, Vec<u8>)> = NAMES
            .iter()
            .map(|part| {
                (
                    *part,
                    if *part == name {
                        changed.to_vec()
                    } else {
                        parts.get(part).unwrap().to_vec()
                    },
                )
            })
            .collect();
        IntentModel::from_bytes(&file::write(1, &parts))
    };
    assert!(with("", b"").is_ok());
    let tensors = Tensor::from_bytes(parts.get("weights").unwrap()).unwrap();
    let n_features = MODELS[2].n_features();
    // A child before its parent: a walk would never end.
    let mut first = Tensor::integers(&tensors, "first").unwrap().to_vec();
    let split =
        Tensor::integers(&tensors, "feature").unwrap().iter().position(|f| *f != u32::MAX).unwrap();
    first[split] = split as u32;
    let endless: Vec<Tensor> = tensors
        .iter()
        .map(|tensor| {
            if tensor.name() == "first" {
                Tensor::of_integers("first", first.clone())
            } else {
                tensor.clone()
            }
        })
        .collect();
    assert!(crate::heads::forest::Forest::from_tensors(&tensors, n_features, 4).is_ok());
    assert!(crate::heads::forest::Forest::from_tensors(&endless, n_features, 4).is_err());
    assert!(crate::heads::forest::Forest::from_tensors(&tensors, n_features, 2).is_err());
    for (name, changed) in [
        ("labels", br#"["billing","delivery"]"#.to_vec()),
        ("labels", br#"["b","a"]"#.to_vec()),
        ("calibration", br#"{"temperature":0.0}"#.to_vec()),
        ("calibration", br#"{"temperature":1.0,"more":1}"#.to_vec()),
        ("goldens", br#"[{"text":"a","intent":"none","confidence":1.0}]"#.to_vec()),
        ("lineage", b"[".to_vec()),
        ("vocabulary", Vec::new()),
        ("weights", Tensor::to_bytes(&endless)),
        ("weights", parts.get("labels").unwrap().to_vec()),
    ] {
        let fault = with(name, &changed).unwrap_err();
        assert_eq!(fault.code(), "BOT-7003", "{name}");
    }
}

/// Files of versions 1 and 2, each with the confidence of its prediction for "parcel password".
const OLDER: [(u8, &[u8], f64); 2] = [
    (
        1,
        include_bytes!("../../../../tests/fixtures/models/version_1.botops"),
        0.893_910_164_778_087_5,
    ),
    (2, include_bytes!("../../../../tests/fixtures/models/version_2.botops"), 0.6322945533931018),
];

#[test]
fn older_files_are_read_and_written_unchanged() {
    for (version, bytes, confidence) in OLDER {
        assert_eq!(bytes[8], version);
        let model = IntentModel::from_bytes(bytes).unwrap();
        assert!(model.to_bytes() == bytes, "version {version}");
        assert_eq!(model.self_test().failures, [""; 0]);
        let prediction = model.predict("parcel password");
        assert!((prediction.confidence - confidence).abs() < 1e-12, "{prediction:?}");
        assert_eq!((prediction.score, prediction.fallback), (prediction.confidence, false));
        assert_eq!(model.fallback().threshold, 0.35);
        assert_eq!(model.prediction_set(&[0.5, 0.5]), None);
        assert_eq!(model.findings(), []);
    }
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut bytes = MODELS[1].to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let code = IntentModel::from_bytes(&bytes).unwrap_err().code();
        let expected: &[&str] = match at {
            0..8 => &["BOT-7001"],
            8..12 => &["BOT-7004", "BOT-7002"],
            _ => &["BOT-7002"],
        };
        prop_assert!(expected.contains(&code), "{code} at {at}");
    }

    #[test]
    fn an_alteration_with_a_corrected_digest_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let bytes = resealed(|bytes| {
            // The header and the small parts come first; the weights, most of the file, have little structure.
            let at = at.index(bytes.len().min(6_000));
            bytes[at] = value;
        });
        let _ = IntentModel::from_bytes(&bytes);
    }

}

/// Returns a model with a tagger.
fn with_tagger() -> IntentModel {
    let rows = corpus();
    let samples: Vec<Sample<'_>> =
        rows.iter().map(|(text, intent)| Sample { text, intent }).collect();
    let texts: Vec<String> = (0..8).map(|i| format!("where is parcel P{i} please")).collect();
    let annotated: Vec<Annotated<'_>> = texts
        .iter()
        .map(|text| Annotated {
            text,
            spans: vec![Span {
                entity: "parcel",
                start: 16,
                end: 18,
                synonym_of: None,
                role: None,
                group: None,
            }],
        })
        .collect();
    let spec = ModelSpec::default().check().unwrap();
    let input = TrainingInput { annotated: &annotated, ..TrainingInput::new(&samples, &spec) };
    train(input, &Silent).unwrap()
}

#[test]
fn a_tagger_is_part_of_the_file_and_leaves_the_rest_unchanged() {
    let model = with_tagger();
    let bytes = model.to_bytes();
    assert_eq!(bytes[8], 4);
    let again = IntentModel::from_bytes(&bytes).unwrap();
    assert!(again.to_bytes() == bytes);
    let found = again.tag("where is parcel P99 please");
    assert_eq!(found, [botops_dialogue::Entity::new("parcel", "P99", 16, 19)]);
    assert_eq!(again.tag("where is parcel P99 please"), model.tag("where is parcel P99 please"));
    // The classifier is that of a model without a tagger, and such a model has neither its parts nor its version.
    let (with, _) = file::read(&bytes).unwrap();
    let plain = MODELS[0].to_bytes();
    let (without, _) = file::read(&plain).unwrap();
    assert!(plain[8] < 4 && without.iter().all(|(name, _)| !name.starts_with("tagger")));
    for name in ["labels", "calibration", "goldens", "vocabulary", "weights"] {
        assert!(with.get(name).unwrap() == without.get(name).unwrap(), "{name}");
    }
    assert!(MODELS[0].tagger().is_none() && MODELS[0].tag("where is parcel P99").is_empty());
    // Half a tagger is refused.
    for left_out in ["tagger", "tagger.json"] {
        let parts: Vec<(&str, Vec<u8>)> = with
            .iter()
            .filter(|(name, _)| *name != left_out)
            .map(|(name, bytes)| (name, bytes.to_vec()))
            .collect();
        let fault = IntentModel::from_bytes(&file::write(4, &parts)).unwrap_err();
        assert_eq!(fault.code(), "BOT-7003", "{left_out}");
    }
}

#[test]
fn a_missing_file_and_a_directory_are_usage_errors() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("none.botops"), folder.path().to_owned()] {
        let fault = IntentModel::read(&path).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-1001", FaultKind::Usage));
    }
    let path = folder.path().join("model.botops");
    std::fs::write(&path, MODELS[0].to_bytes()).unwrap();
    let (_, digest) = IntentModel::read(&path).unwrap();
    assert_eq!(digest, Digest::of(&MODELS[0].to_bytes()));
    std::fs::write(&path, &MODELS[0].to_bytes()[..5_000]).unwrap();
    let fault = IntentModel::read(&path).unwrap_err();
    assert_eq!(fault.code(), "BOT-7002");
    assert_eq!(fault.place().file.as_deref(), path.to_str());
}

#[cfg(unix)]
#[test]
fn a_model_file_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let bytes = MODELS[0].to_bytes();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        // The pipe is written once: a second read would wait forever.
        let writes = scope.spawn(|| std::fs::write(&pipe, &bytes).map(|()| 1).unwrap());
        let path = pipe.clone();
        std::thread::spawn(move || {
            let _ = sender.send(IntentModel::read_with_bytes(&path));
        });
        let read = receiver.recv_timeout(std::time::Duration::from_secs(60));
        let (model, digest, read) = read.expect("one read is enough").unwrap();
        assert_eq!(writes.join().unwrap(), 1);
        assert!(read == bytes && digest == Digest::of(&bytes) && model.to_bytes() == bytes);
    });
}
