use super::{profiler::balance, *};
use botops_datasets::{Presence, ReadOptions};
use bytes::Bytes;
use std::collections::BTreeMap;

fn profiled(csv: &str) -> Profile {
    let read = ReadOptions {
        intent: Presence::Optional,
        text: Presence::Optional,
        ..ReadOptions::default()
    };
    profile_bytes(Bytes::copy_from_slice(csv.as_bytes()), "a.csv", &read).unwrap()
}

#[test]
fn classes_lengths_and_languages_agree_with_counting_by_hand() {
    let profile = profiled(
        "text,intent,lang,n\nab,a,en,1\nabcd,a,fr,2\n\"where is my order, please\",b,fr,-3\n\
         0123456789,b,,\n,,en,2\nwhat is it,oos,en,2\n",
    );
    assert_eq!(profile.records, 6);
    let text = profile.text.unwrap();
    // Quantiles: numpy 2.3 `np.quantile([2, 4, 25, 10, 10], [0, .05, .5, .95, 1])`.
    let chars = &text.chars;
    assert_eq!((chars.min, chars.median, chars.max, chars.mean), (2.0, 10.0, 25.0, 10.2));
    assert!((chars.p05 - 2.4).abs() < 1e-12 && (chars.p95 - 22.0).abs() < 1e-12, "{chars:?}");
    let bins: Vec<_> = chars.bins.iter().filter(|bin| bin.n > 0).collect();
    assert_eq!(
        bins.iter().map(|bin| (bin.from, bin.n)).collect::<Vec<_>>(),
        [(0, 2), (6, 2), (21, 1)]
    );
    assert_eq!((text.empty, text.unlabelled, text.words.max), (1, 1, 5.0));
    assert_eq!((text.intents["a"].records, text.intents["a"].languages["fr"]), (2, 1));
    assert_eq!(text.intents["b"].languages.keys().collect::<Vec<_>>(), ["fr", UNTOLD]);
    assert_eq!(text.intents["b"].samples.len(), 2);
    assert_eq!(text.languages["fr"]["en"], 1, "declared fr, and English: {:?}", text.languages);
    // Out-of-scope records are not a class: there are two intents of two records each.
    let balance = text.balance.unwrap();
    assert_eq!((balance.intents, balance.ratio), (2, 1.0));
    assert!((balance.effective - 2.0).abs() < 1e-12);
    let n = &profile.columns[3];
    assert_eq!((n.kind.as_str(), n.filled, n.empty, n.distinct), ("integer", 5, 1, Some(3)));
    assert_eq!((n.min.as_deref(), n.max.as_deref()), (Some("-3"), Some("2")));
    assert_eq!(n.top[0], ("2".to_owned(), 3));
    assert_eq!(profile.columns[1].role.as_deref(), Some("intent"));
}

fn inferred(csv: &str) -> String {
    let read = ReadOptions { text: Presence::Optional, ..ReadOptions::default() };
    infer_bytes(Bytes::copy_from_slice(csv.as_bytes()), "a.csv", &read).unwrap().yaml
}

#[test]
fn only_repeated_words_become_a_set_of_values() {
    let mut csv =
        String::from("text,intent,day,local_day,stars,batch,channel,city,open,at,score\n");
    for i in 0..240 {
        let channel = ["web", "phone", "mail"][i % 3];
        let city = if i == 7 { "Nantes" } else { ["Paris", "Lyon"][i % 2] };
        csv += &format!(
            "text {i},{},2026-11-{:02},{}/11/2026,{},batch-{},{channel},{city},{},2026-11-0{}T08:00:00Z,0.{}\n",
            ["ask", "pay"][i % 2],
            1 + i % 8,
            1 + i % 8,
            1 + i % 5,
            i % 6,
            i % 2 == 0,
            1 + i % 4,
            i % 4,
        );
    }
    let yaml = inferred(&csv);
    let rule = |column: &str| {
        let of = |line: &&str| line.contains(&format!("column: {column}"));
        yaml.lines().find(of).unwrap_or_default().to_owned()
    };
    assert!(rule("channel").contains("in: [mail, phone, web]"), "{yaml}");
    for (column, kind) in [
        ("day", "type: date, min: 2026-01-01"),
        ("stars", "type: integer, min: 0, max: 7"),
        ("open", "type: boolean"),
        ("at", "type: datetime"),
        ("score", "type: number"),
        // The value that occurs once will have others beside it.
        ("city", "min_chars"),
        ("batch", "min_chars"),
        ("local_day", "min_chars"),
    ] {
        let rule = rule(column);
        assert!(rule.contains(kind) && !rule.contains("in: ["), "{rule}");
    }
}

#[test]
fn labels_are_trimmed_before_they_are_counted() {
    let mut csv = String::from("text,intent,lang,channel\n");
    for i in 0..60 {
        let intent = ["refund", " refund", "order ", "order"][i % 4];
        csv += &format!(
            "text {i},{intent},{},{}\n",
            ["en", "en "][i % 2],
            ["web", " web", "mail"][i % 3]
        );
    }
    let yaml = inferred(&csv);
    assert!(yaml.contains("\nintents: [order, refund]\nmin_examples_per_intent: 15\n"), "{yaml}");
    assert!(yaml.contains("in: [mail, web]"), "{yaml}");
}

#[test]
fn samples_have_no_personal_data_and_do_not_depend_on_the_order_of_the_file() {
    let lines = ["write to me@example.org,a", "b,a", "c,a", "d,a", "e,a"];
    let forward = profiled(&format!("text,intent\n{}\n", lines.join("\n")));
    let backward: Vec<&str> = lines.iter().rev().copied().collect();
    let backward = profiled(&format!("text,intent\n{}\n", backward.join("\n")));
    assert_eq!(forward, backward);
    assert_eq!(forward.columns[0].personal, 1);
    assert!(!serde_json::to_string(&forward).unwrap().contains("me@example.org"));
    let one = profiled("text,intent\nwrite to me@example.org,a\n");
    assert_eq!(one.text.unwrap().intents["a"].samples, ["write to [email]"]);
}

#[test]
fn names_have_no_personal_data_and_equal_names_are_merged() {
    let profile = profiled(
        "text,intent,lang,me@example.org\na b,me@example.org,a@example.org,1\n\
         a b c d,you@example.org,b@example.org,2\na,c,en,3\n",
    );
    assert!(!serde_json::to_string(&profile).unwrap().contains("@example.org"));
    assert_eq!(profile.columns[3].name, "[email]");
    let text = profile.text.unwrap();
    let one = &text.intents["[email]"];
    assert_eq!((one.records, one.median_words, one.samples.len()), (2, 3.0, 2));
    assert_eq!(one.languages, BTreeMap::from([("[email]".to_owned(), 2)]));
    assert_eq!(text.languages["[email]"].values().sum::<u64>(), 2);
    assert_eq!(text.balance.unwrap().intents, 2);
}

#[test]
fn a_table_without_texts_has_a_profile() {
    let bare = profiled("n,m\n1,2\n");
    assert_eq!((bare.records, bare.text.is_none(), bare.columns.len()), (1, true, 2));
    let empty = profiled("text,intent\n,a\n").text.unwrap();
    assert_eq!((empty.chars.max, empty.words.median, empty.balance), (0.0, 0.0, None));
}

#[test]
fn balance_is_computed_from_the_shares() {
    // exp(-(0.75 ln 0.75 + 0.25 ln 0.25)), by hand.
    let uneven = balance([30, 10].into_iter()).unwrap();
    assert_eq!(uneven.ratio, 3.0);
    assert!((uneven.effective - 1.754_765_350_603_323_4).abs() < 1e-12, "{uneven:?}");
    assert_eq!(balance([3].into_iter()), None);
}

#[test]
fn guessed_languages_are_marked_and_only_declared_ones_are_guessed() {
    let undeclared = profiled(
        "text,intent\nplease set a timer for ten minutes,timer\nich möchte meinen Vertrag kündigen,cancel\n",
    );
    let text = undeclared.text.unwrap();
    assert_eq!(text.intents["timer"].languages.keys().collect::<Vec<_>>(), ["en (guessed)"]);
    assert_eq!(text.intents["cancel"].languages.keys().collect::<Vec<_>>(), ["de (guessed)"]);
    assert_eq!(text.languages[UNTOLD], BTreeMap::from([("de".into(), 1), ("en".into(), 1)]));
    let declared = profiled(
        "text,intent,lang\nplease set a timer for ten minutes,timer,en-GB\nich möchte meinen Vertrag kündigen,cancel,fr\n\
         où est passée ma commande,status,\nnon dago nire paketea galdetu nahi dut,status,eu\n",
    );
    let text = declared.text.unwrap();
    assert_eq!(text.languages["en-GB"], BTreeMap::from([("en".into(), 1)]));
    assert_eq!(
        text.languages["fr"],
        BTreeMap::from([(UNTOLD.into(), 1)]),
        "German is not declared"
    );
    assert_eq!(
        text.languages["eu"],
        BTreeMap::from([(UNTOLD.into(), 1)]),
        "no library knows Basque"
    );
    assert_eq!(text.languages[UNTOLD], BTreeMap::from([("fr".into(), 1)]));
    assert_eq!(text.intents["status"].languages["fr (guessed)"], 1);
}
