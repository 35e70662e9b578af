use super::*;
use botops_findings::FaultKind;
use std::{collections::BTreeMap, fs};

#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Spec {
    count: u64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    deep: bool,
    #[serde(default)]
    share: f64,
    #[serde(default)]
    method: Option<Method>,
    #[serde(default)]
    points: Vec<Point>,
    #[serde(default)]
    named: BTreeMap<String, Point>,
    #[serde(default)]
    stages: Vec<Stage>,
}

#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Point {
    x: u8,
    y: u8,
}

#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Method {
    Linear,
    RandomForest,
}

#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(tag = "stage", rename_all = "snake_case", deny_unknown_fields)]
enum Stage {
    Train {
        out: String,
        #[serde(default)]
        n: u64,
    },
}

/// Returns the code, place, message and hints of the fault for `yaml`, on one line.
fn report(yaml: &str) -> String {
    let fault = parse::<Spec>(yaml, "a.yaml").expect_err(yaml);
    assert_eq!(fault.kind(), FaultKind::Usage);
    let place = fault.place();
    assert_eq!(place.file.as_deref(), Some("a.yaml"));
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    format!(
        "{} {}:{} {} | {} | {}",
        &fault.code()[4..],
        number(place.line),
        number(place.column),
        place.key.as_deref().unwrap_or("-"),
        fault.message(),
        fault.hints().join("; ")
    )
}

#[test]
fn an_unknown_key_names_the_nearest_one_with_its_place() {
    assert_eq!(
        report("count: 1\ntitel: x\n"),
        "1011 2:1 titel | unknown key `titel` | did you mean `title`?"
    );
    assert_eq!(
        report("count: 1\nnamed:\n  a:\n    x: 1\n    y: 2\n    zebra: 3\n"),
        "1011 6:5 named.a.zebra | unknown key `zebra` | known keys here: `x`, `y`"
    );
    assert_eq!(
        report("count: 1\npoints: [{x: 1, y: 2}, {x: 1, why: 2}]\n"),
        "1011 2:31 points[1].why | unknown key `why` | did you mean `y`?"
            .replace("did you mean `y`?", "known keys here: `x`, `y`")
    );
}

#[test]
fn an_unknown_key_of_a_tagged_block_is_found_where_it_is_written() {
    assert_eq!(
        report("count: 1\nstages:\n  - stage: train\n    out: a\n  - stage: train\n    ouut: x\n"),
        "1011 6:5 stages[1].ouut | unknown key `ouut` | did you mean `out`?"
    );
}

#[test]
fn a_key_named_n_is_a_key_and_not_a_boolean() {
    let spec: Spec =
        parse("count: 1\nstages:\n  - {stage: train, out: no, n: 3}\n", "a.yaml").unwrap();
    assert_eq!(spec.stages, [Stage::Train { out: "no".to_owned(), n: 3 }]);
}

#[test]
fn a_value_of_the_wrong_type_names_the_expected_one() {
    assert_eq!(
        report("count: ten # or so\n"),
        "1012 1:8 count | `count` is `ten`: expected a whole number of at least 0 | "
    );
    assert_eq!(
        report("count: -1\n"),
        "1012 1:8 count | `count` is `-1`: expected a whole number of at least 0 | "
    );
    assert_eq!(
        report("count:\n"),
        "1012 1:6 count | `count` has no value: expected a whole number of at least 0 | "
    );
    assert_eq!(
        report("count: 1\ndeep: yes\n"),
        "1012 2:7 deep | `deep` is `yes`: expected `true` or `false` | "
    );
    assert_eq!(
        report("count: 1\nshare: much\n"),
        "1012 2:8 share | `share` is `much`: expected a number | "
    );
    assert_eq!(
        report("count: 1\ntitle: [a]\n"),
        "1012 2:8 title | `title` is a list: expected a string | "
    );
    assert_eq!(
        report("count: 1\npoints: 3\n"),
        "1012 2:9 points | `points` is `3`: expected a list | write `points: [3]`"
    );
    assert_eq!(
        report("count: 1\npoints:\n  - 5\n"),
        "1012 3:5 points[0] | `points[0]` is `5`: expected a block of keys | write `- { x: … }`; known keys here: `x`, `y`"
    );
    assert_eq!(report("- a\n"), "1012 1:1 - | the file is a list: expected a block of keys | ");
    assert_eq!(
        report("count: 1\nmethod: lineer\n"),
        "1012 2:9 method | `lineer` is not a known value for `method` | did you mean `linear`?"
    );
    assert_eq!(
        report("count: 1\nmethod: perceptron\n"),
        "1012 2:9 method | `perceptron` is not a known value for `method` | known values: `linear`, `random_forest`"
    );
    assert_eq!(
        report("count: 1\ntitle:\n"),
        "1012 2:6 title | `title` has no value: expected a string | write the value after the colon, or remove the key"
    );
}

#[test]
fn a_value_in_braces_is_reported_without_them() {
    for yaml in ["{count: ten}\n", "{count: ten, title: a}\n", "{count: \"ten\" # or so\n}\n"] {
        let report = report(yaml);
        assert!(
            report.contains(" | `count` is `ten`: expected a whole number of at least 0 | "),
            "{report}"
        );
    }
    assert_eq!(
        report("count: 1\npoints: [{x: 1, y: two}]\n"),
        "1012 2:20 points[0].y | `points[0].y` is `two`: expected a whole number of at least 0 | "
    );
}

#[test]
fn a_scalar_instead_of_a_block_is_put_under_the_key_it_fits() {
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Model {
        head: Head,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Head {
        share: f64,
        kind: Option<Method>,
    }
    impl Default for Model {
        fn default() -> Self {
            Self { head: Head { share: 0.0, kind: None } }
        }
    }
    impl Default for Head {
        fn default() -> Self {
            Self { share: 0.0, kind: None }
        }
    }
    let report = |yaml: &str| {
        let fault = parse::<Model>(yaml, "a.yaml").unwrap_err();
        assert_eq!(fault.code(), "BOT-1012");
        format!("{} | {}", fault.message(), fault.hints().join("; "))
    };
    for yaml in ["head: linear # the best\n", "{ head: linear }\n"] {
        assert_eq!(
            report(yaml),
            "`head` is `linear`: expected a block of keys | write `head: { kind: linear }`"
        );
    }
    assert_eq!(
        report("head: 0.5\n"),
        "`head` is `0.5`: expected a block of keys | write `head: { share: 0.5 }`"
    );
    assert_eq!(
        report("head: perceptron\n"),
        "`head` is `perceptron`: expected a block of keys | write `head: { share: … }`; known keys here: \
         `share`, `kind`"
    );
    assert_eq!(report("head: [linear]\n"), "`head` is a list: expected a block of keys | ");
}

#[test]
fn a_missing_key_names_its_block() {
    assert_eq!(report("title: a\n"), "1013 1:1 count | `count` is missing | add `count:`");
    assert_eq!(
        report("count: 1\npoints:\n  - x: 1\n    y: 2\n  - x: 2\n"),
        "1013 5:5 points[1].y | `y` is missing in `points[1]` | add `y:`"
    );
}

#[test]
fn a_key_written_twice_names_both_lines() {
    assert_eq!(
        report("count: 1\ntitle: a\ncount: 2\n"),
        "1014 3:1 count | `count` occurs twice: first on line 1 | remove one of them"
    );
}

#[test]
fn malformed_yaml_is_reported_before_the_errors_it_causes() {
    for (yaml, expected) in [
        ("", "1010 1:1 - | the file is empty | "),
        ("# nothing\n", "1010 2:1 - | the file is empty | "),
        (
            "count: [1\n",
            "1010 1:8 - | `[` is never closed | close it, or quote a string that starts with it",
        ),
        (
            "count: 1\n\ttitle: 2\n",
            "1010 2:1 - | a tab is used for indentation | indent with spaces",
        ),
        ("count: 1\ntitle: @a\n", "1010 2:8 - | a value cannot start with `@` | quote it"),
        (
            "count: 1\ntitle: a: b\n",
            "1010 2:9 - | a colon is not allowed here | quote a string that contains `: `, and check the indentation",
        ),
        (
            "count: 1\n---\ncount: 2\n",
            "1010 3:1 count | the file contains more than one document | remove the line `---` and everything after it",
        ),
    ] {
        assert_eq!(report(yaml), expected);
    }
    assert!(report("count: 1\ntitle: \"abc\n").contains("a quote is never closed"));
}

#[test]
fn no_message_contains_terms_of_serde_or_rust() {
    for yaml in [
        "count: ten\n",
        "count: [1]\n",
        "count: {a: 1}\n",
        "count: 1\ntitle: {a: b}\n",
        "count: 1\nmethod: [a]\n",
        "count: 1\nnamed: [1]\n",
        "count: 1\npoints: [[1, 2]]\n",
        "count: 1\nstages: [{stage: train}]\n",
        "count: 1\nstages: [{out: a}]\n",
        "count: 1\nstages: [{stage: trian}]\n",
        "count: 1\nstages: [{stage: train, out: a, n: x}]\n",
        "count: *a\n",
        "just\n",
        "count: 99999999999999999999999\n",
        "count: 1.5\n",
        "? [a]\n: b\n",
        "count: 1\n? {a: b}\n: c\n",
    ] {
        let report = report(yaml).to_lowercase();
        for word in [
            "serde",
            "u64",
            "u8",
            "struct",
            "deserial",
            "identifier",
            "scalar",
            "enum",
            "option",
            "saphyr",
            "variant",
        ] {
            assert!(!report.contains(word), "{yaml:?}: {report}");
        }
    }
}

#[test]
fn any_text_gives_a_value_or_a_fault() {
    let seed = "count: 1\npoints: [{x: 1, y: \"a\"}]\nnamed: &a\n  - |\n    b\n? k\n: *a\n";
    let mut random = botops_stats::random::Random::new(5);
    for _ in 0..3_000 {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..4 {
            let at = random.below(text.len());
            match random.below(3) {
                0 => drop(text.remove(at)),
                1 => {
                    text.insert(at, ['\t', '{', '"', '\n', '*', '\u{0}', 'é', '-'][random.below(8)])
                }
                _ => {
                    let other = random.below(text.len());
                    text.swap(at, other);
                }
            }
        }
        let text: String = text.into_iter().collect();
        if let Err(fault) = parse::<Spec>(&text, "a.yaml") {
            assert!(!fault.message().is_empty());
        }
    }
}

#[test]
fn deep_nesting_and_alias_bombs_are_refused_quickly() {
    let deep = format!("count: {}1{}\n", "[".repeat(5_000), "]".repeat(5_000));
    assert!(report(&deep).starts_with("1010"), "{}", report(&deep));
    let mut bomb = String::from("a0: &a0 [x, x]\n");
    for i in 1..40 {
        bomb += &format!("a{i}: &a{i} [*a{0}, *a{0}]\n", i - 1);
    }
    assert!(parse::<BTreeMap<String, serde_json::Value>>(&bomb, "a.yaml").is_err());
}

#[test]
fn a_newer_version_is_refused_before_its_keys_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.yaml");
    fs::write(&path, "new_key: 1\nversion: 2\n").unwrap();
    let fault = read_versioned::<Spec>(&path, 1).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-1015", FaultKind::Policy));
    assert_eq!(fault.place().line, Some(2));
    assert_eq!(read_versioned::<Spec>(&path, 2).unwrap_err().code(), "BOT-1011");
    assert_eq!(check_version("version: 0\n", "a", 1).unwrap_err().code(), "BOT-1012");
}

#[test]
fn the_fault_for_a_missing_file_names_the_nearest_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("weekly.yaml"), "count: 1\n").unwrap();
    let fault = read::<Spec>(&folder.path().join("weakly.yaml")).unwrap_err();
    assert_eq!(fault.code(), "BOT-1001");
    assert!(fault.hints()[0].contains("weekly.yaml"), "{:?}", fault.hints());
    let fault = read::<Spec>(folder.path()).unwrap_err();
    assert!(fault.message().contains("is a directory"), "{fault}");
    assert!(fault.hints()[0].contains("weekly.yaml"), "{:?}", fault.hints());
    fs::write(folder.path().join("latin.yaml"), b"count: 1\ntitle: caf\xe9\n").unwrap();
    let fault = read::<Spec>(&folder.path().join("latin.yaml")).unwrap_err();
    assert_eq!((fault.place().line, fault.place().column), (Some(2), Some(11)));
}

#[test]
fn rendered_values_are_parsed_back() {
    let spec = Spec {
        count: 3,
        title: "a: b # c\n\"d\"".to_owned(),
        deep: true,
        share: 0.1,
        method: Some(Method::RandomForest),
        points: vec![Point { x: 1, y: 2 }],
        named: BTreeMap::from([("no".to_owned(), Point { x: 3, y: 4 })]),
        stages: vec![Stage::Train { out: "yes".to_owned(), n: 1 }],
    };
    let yaml = render(&spec).unwrap();
    assert_eq!(parse::<Spec>(&yaml, "a.yaml").unwrap(), spec, "{yaml}");
}

#[test]
fn the_nearest_name_is_a_likely_typo() {
    let known = ["text", "intent", "language", "min_chars"];
    assert_eq!(nearest("txet", known), Some("text"));
    assert_eq!(nearest("Intents", known), Some("intent"));
    assert_eq!(nearest("min-chars", known), Some("min_chars"));
    assert_eq!(nearest("lang", known), Some("language"));
    assert_eq!(nearest("weight", known), None);
    assert_eq!(nearest("x", ["y", "z"]), None);
    assert_eq!(nearest(&"a".repeat(1_000_000), known), None);
}

#[test]
fn the_outline_has_the_place_of_every_key() {
    let outline = Outline::of("a: 1\nb:\n  - c: 2\n  - d:\n      e: 3\n");
    assert_eq!(outline.line("a"), Some(1));
    assert_eq!(outline.line("b[1].d.e"), Some(5));
    assert_eq!(outline.line("b[2]"), None);
    assert_eq!(outline.place("b[0].c"), Some((3, 5)));
}

#[test]
fn a_device_that_never_ends_is_refused_and_a_file_of_the_limit_is_read() {
    let fault = bytes_within(Path::new("/dev/zero"), 4_096).unwrap_err();
    assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1001", 2));
    assert_eq!(fault.message(), "`/dev/zero` has more than 4096 bytes");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), [b'a'; 4_096]).unwrap();
    assert_eq!(bytes_within(file.path(), 4_096).unwrap().len(), 4_096);
    assert!(bytes_within(file.path(), 4_095).is_err());
}
