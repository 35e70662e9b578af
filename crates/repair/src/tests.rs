use crate::{
    Application, Fix, FixAction, Proposal, Repaired, apply, patch_csv, propose, read_patch,
    readmit, write_left,
};
use botops_datasets::{Format, Packing, ReadOptions, formats::csv::SheetForm};
use botops_expectations::Expectations;
use botops_files::{Output, OutputKind};
use botops_findings::{FaultKind, Result};
use botops_validation::{Keep, ValidateOptions, validate_file};
use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn expectations() -> Expectations {
    serde_yaml::from_str(
        "version: 1\nintents: [refund, order_status]\nlanguages: [en, fr]\nmin_examples_per_intent: 1\nrules:\n- {column: lang, language_of: text}\n- {column: note, no_damage: true}\n- {column: text, no_personal_data: true, fail_if: 1}\n",
    )
    .unwrap()
}

fn quarantine(path: &Path) -> Output<'_> {
    Output::new(path, OutputKind::Quarantine, false)
}

fn options() -> ValidateOptions<'static> {
    ValidateOptions { now: DateTime::UNIX_EPOCH, samples: 5, ..ValidateOptions::default() }
}

fn proposed(path: &Path) -> Proposal {
    propose(path, &expectations().read_options(), &expectations(), &options(), &[]).unwrap()
}

/// Writes the fixes as a patch, reads it again, and applies it.
fn applied(folder: &Folder, path: &Path, fixes: &[Fix], out: &str) -> Result<Application> {
    let patch = folder.write("patch.csv", patch_csv(fixes, SheetForm::Comma));
    let read = expectations().read_options();
    apply(path, &read, &read_patch(&patch)?, &folder.at(out))
}

/// Cells with the problems that a repair looks for.
fn cell() -> impl Strategy<Value = String> {
    let words = vec![
        "where",
        "is",
        "my",
        "parcel",
        "le",
        "colis",
        "est",
        "Ã©",
        "Ã",
        "©",
        "\u{200b}",
        "e\u{301}",
        " ",
        "  ",
        "\t",
        "\u{1}",
        "\u{2028}",
        "\n",
        "\r\n",
        "\"",
        ",",
        ";",
        "=1",
        "'",
        "\\u{1b}",
        "\u{1b}",
        "a@b.fr",
        "[email]",
        "é",
        "06 12 34 56 78",
        "\u{fffd}",
        "🙂",
        "\u{a0}",
        "-",
    ];
    prop::collection::vec(prop::sample::select(words), 0..7).prop_map(|words| words.concat())
}

fn intent() -> impl Strategy<Value = String> {
    let words = vec![
        "refund",
        "Refund",
        "refnd",
        "order status",
        "order_status",
        "order",
        "",
        " refund ",
        "else",
    ];
    prop::sample::select(words).prop_map(str::to_owned)
}

fn lang() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["en", "fr", "EN", "fr-CA", "", "klingon"]).prop_map(str::to_owned)
}

/// A record: its text, intent, language and note, and whether it has an entity.
type Row = (String, String, String, String, bool);

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec((cell(), intent(), lang(), cell(), any::<bool>()), 1..8)
}

fn entities(text: &str, has: bool) -> String {
    let span = || -> Option<String> {
        let start = text.chars().position(|c| c == 'p').filter(|_| has)?;
        let value: String = text.chars().skip(start).take(6).collect();
        let end = start + value.chars().count();
        // Half of the spans are shifted by one.
        let off = usize::from(start % 2 == 1);
        let span = botops_datasets::EntitySpan::new("thing", value, start + off, end + off);
        Some(serde_json::to_string(&[span]).unwrap())
    };
    span().unwrap_or_default()
}

fn csv(rows: &[Row], delimiter: u8) -> Vec<u8> {
    let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(["id", "text", "intent", "lang", "note", "entities"]).unwrap();
    for (n, (text, intent, lang, note, has)) in rows.iter().enumerate() {
        let (id, entities) = (n.to_string(), entities(text, *has));
        writer.write_record([&id, text, intent, lang, note, &entities]).unwrap();
    }
    writer.into_inner().unwrap()
}

fn jsonl(rows: &[Row]) -> Vec<u8> {
    let mut out = String::new();
    for (n, (text, intent, lang, note, has)) in rows.iter().enumerate() {
        let spans: serde_json::Value =
            serde_json::from_str(&entities(text, *has)).unwrap_or_else(|_| serde_json::json!([]));
        let object = serde_json::json!({
            "id": n, "text": text, "intent": intent, "lang": lang, "note": note, "entities": spans, "price": 1.50,
        });
        out.push_str(&format!("{object}\n"));
    }
    out.into_bytes()
}

#[test]
fn a_source_with_semicolons_gets_a_patch_and_a_quarantine_that_its_spreadsheet_opens() {
    let folder = Folder::new();
    let bytes = "text;intent;note\n\" d\u{e9}j\u{e0}; vu \";refund;x\nwell;nothing;y\n";
    let path = folder.write("a.csv", bytes);
    let proposal = proposed(&path);
    let patch = String::from_utf8(patch_csv(&proposal.fixes, proposal.form)).unwrap();
    assert!(patch.starts_with("\u{feff}file;record;line;action;"), "{patch}");
    let fixes = read_patch(&folder.write("patch.csv", &patch)).unwrap();
    let fixes: Vec<Fix> = fixes.into_iter().map(|(_, fix)| fix).collect();
    assert_eq!(fixes, proposal.fixes);
    let q = folder.at("q.csv");
    let read = expectations().read_options();
    validate_file(&path, &read, &expectations(), &options(), Keep::Quarantine(quarantine(&q)))
        .unwrap();
    let rejected = fs::read_to_string(&q).unwrap();
    assert!(rejected.starts_with("\u{feff}file;record;line;codes;"), "{rejected}");
    // It is corrected and merged back, and what is left is written in the same form.
    let edited = rejected.replace(";nothing;", ";order_status;");
    assert_ne!(edited, rejected);
    for (quarantined, left) in [(edited, 0), (rejected, 1)] {
        let q = folder.write("q.csv", quarantined);
        let out = folder.at("out.csv");
        let readmission =
            readmit(&path, &read, std::slice::from_ref(&q), &expectations(), &options(), &out)
                .unwrap();
        assert_eq!(readmission.quarantined, left);
        // The quarantine of botops is replaced without `--force`.
        write_left(&quarantine(&q), &readmission).unwrap();
        assert!(fs::read_to_string(&q).unwrap().starts_with("\u{feff}file;record;"));
    }
    // A source with commas keeps the form that it had.
    let plain = proposed(&folder.write("b.csv", "text,intent,note\n a ,refund,x\nwell,refund,y\n"));
    assert!(patch_csv(&plain.fixes, plain.form).starts_with(b"file,record,"));
}

#[test]
fn a_table_keeps_its_delimiter_and_the_line_that_names_it() {
    let folder = Folder::new();
    for (bytes, delimiter, expected) in [
        (
            "sep=;\r\ntext;intent;note\r\n\" a, b \";refund;x\r\nwell;order_status;y\r\n",
            None,
            "sep=;\r\ntext;intent;note\r\n\"a, b\";refund;x\r\nwell;order_status;y\r\n",
        ),
        (
            "\u{feff}text^intent^note\n a, b^refund^x\nwell^order_status^y\n",
            Some(b'^'),
            "\u{feff}text^intent^note\na, b^refund^x\nwell^order_status^y\n",
        ),
    ] {
        let path = folder.write("a.csv", bytes);
        let read = ReadOptions { delimiter, ..expectations().read_options() };
        let proposal = propose(&path, &read, &expectations(), &options(), &[]).unwrap();
        let patch = folder.write("patch.csv", patch_csv(&proposal.fixes, proposal.form));
        let fixes = read_patch(&patch).unwrap();
        let application = apply(&path, &read, &fixes, &folder.at("out.csv")).unwrap();
        assert_eq!(&application.repaired.bytes[..], expected.as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn applied_fixes_are_not_proposed_again_and_every_record_is_accounted_for(
        rows in rows(),
        name in prop::sample::select(vec!["a.csv", "b.tsv", "c.csv", "d.jsonl"]),
    ) {
        let folder = Folder::new();
        let bytes = match name {
            "a.csv" => csv(&rows, b','),
            "b.tsv" => csv(&rows, b'\t'),
            "c.csv" => csv(&rows, b';'),
            _ => jsonl(&rows),
        };
        let path = folder.write(name, &bytes);
        let proposal = proposed(&path);
        let application = applied(&folder, &path, &proposal.fixes, &format!("out-{name}")).unwrap();
        prop_assert_eq!(application.records_in, rows.len() as u64);
        prop_assert_eq!(application.records_in, application.records_out + application.removed.len() as u64);
        prop_assert_eq!(application.records_out, proposal.records_out);
        prop_assert_eq!(application.applied, proposal.to_apply);
        let out = folder.write(&format!("out-{name}"), &application.repaired.bytes);
        let again = proposed(&out);
        let left: Vec<&Fix> = again.fixes.iter().filter(|fix| fix.is_applied).collect();
        prop_assert!(left.is_empty(), "{left:#?}\n{:#?}", proposal.fixes);
        // A patch without a fix to apply changes no byte.
        let none: Vec<Fix> = proposal.fixes.iter().map(|fix| Fix { is_applied: false, ..fix.clone() }).collect();
        prop_assert_eq!(&applied(&folder, &path, &none, name).unwrap().repaired.bytes[..], &bytes[..]);
    }

    #[test]
    fn an_unedited_quarantine_gives_the_accepted_records(
        rows in rows(),
        name in prop::sample::select(vec!["a.csv", "d.jsonl"]),
    ) {
        let folder = Folder::new();
        let sound = ["where is my refund", "refund", "en", "x"].map(str::to_owned);
        let [text, intent, lang, note] = sound;
        let rows = [vec![(text, intent, lang, note, false)], rows].concat();
        let path = folder.write(name, if name == "a.csv" { csv(&rows, b',') } else { jsonl(&rows) });
        let (read, set_aside) = (expectations().read_options(), folder.at("q.csv"));
        let keep = Keep::Quarantine(quarantine(&set_aside));
        let validation = validate_file(&path, &read, &expectations(), &options(), keep).unwrap();
        let out = folder.at(&format!("out-{name}"));
        let back = readmit(&path, &read, std::slice::from_ref(&set_aside), &expectations(), &options(), &out).unwrap();
        prop_assert_eq!(back.edited, 0);
        prop_assert_eq!((back.records_out, back.quarantined), (validation.records_accepted, validation.records_rejected));
        prop_assert_eq!((back.listed, back.merged), (validation.records_rejected, 0));
        // The records that are left are those that were quarantined, line for line.
        let left = folder.at("left.csv");
        write_left(&quarantine(&left), &back).unwrap();
        prop_assert_eq!(fs::read_to_string(left).unwrap(), fs::read_to_string(set_aside).unwrap());
    }
}

#[test]
fn a_quarantine_is_merged_only_into_the_records_that_it_lists() {
    const HEADER: &str = "id,text,intent,lang,note\n";
    const ROWS: [&str; 3] = [
        "1,where is it,order_status,en,a\n",
        "2,give it back,,en,b\n",
        "3,refund me,refund,en,c\n",
    ];
    let folder = Folder::new();
    let read = expectations().read_options();
    let merged = |data: &str, quarantine: &str| {
        let (path, out) = (folder.write("a.csv", data), folder.at("out.csv"));
        let set_aside = folder.write("q.csv", quarantine);
        readmit(&path, &read, std::slice::from_ref(&set_aside), &expectations(), &options(), &out)
    };
    let data = format!("{HEADER}{}", ROWS.concat());
    let (path, set_aside) = (folder.write("a.csv", &data), folder.at("q.csv"));
    let keep = Keep::Quarantine(quarantine(&set_aside));
    validate_file(&path, &read, &expectations(), &options(), keep).unwrap();
    let corrected =
        fs::read_to_string(&set_aside).unwrap().replace("give it back,,", "give it back,refund,");
    let back = merged(&data, &corrected).unwrap();
    assert_eq!((back.records_out, back.quarantined, back.edited), (3, 0, 1));

    // Two rows were exchanged since.
    let fault =
        merged(&format!("{HEADER}{}{}{}", ROWS[0], ROWS[2], ROWS[1]), &corrected).unwrap_err();
    assert_eq!((fault.code(), fault.kind()), ("BOT-2224", FaultKind::Conflict), "{fault}");

    let rejected =
        botops_datasets::read_bytes(data.as_bytes(), &path.display().to_string(), &read).unwrap();
    let rejected = botops_validation::validate(&rejected, &expectations(), None).rejected;
    assert_eq!(rejected.len(), 1);
    let list = folder.at("list.csv");
    botops_validation::write_rejected(&quarantine(&list), "a.csv", &rejected).unwrap();
    let list = fs::read_to_string(list).unwrap();
    let without_column =
        "record,line,codes,reasons,id,text\n2,3,BOT-2112,no intent,2,give it back\n";
    let (header, line) = corrected.split_once('\n').unwrap();
    let fingerprint = line.split(',').find(|cell| cell.starts_with("r-")).unwrap();
    let line_without =
        format!("{header}\n{line}{}", line.replace(fingerprint, "").replace(",2,3,", ",1,2,"));
    for quarantine in [list.as_str(), without_column, &line_without] {
        let fault = merged(&data, quarantine).unwrap_err();
        assert_eq!((fault.code(), fault.kind()), ("BOT-2228", FaultKind::Gate), "{fault}");
        assert!(!fault.hints().is_empty(), "{fault}");
    }
}

/// Returns a patch of the fix after `change`.
fn with(fix: &Fix, change: impl FnOnce(&mut Fix)) -> Vec<Fix> {
    let mut fix = fix.clone();
    change(&mut fix);
    vec![fix]
}

const DATA: &str = "id,text,intent,lang,note\n1,where is my  parcelÃ©,refnd,en,a\n2,mail a@b.fr now\u{200b},refund,en,b\n3,ok then,order_status,en,c\n";

#[test]
fn all_lines_that_do_not_match_are_reported_and_nothing_is_written() {
    let folder = Folder::new();
    let path = folder.write("a.csv", DATA);
    let proposal = proposed(&path);
    let first = &proposal.fixes[0];
    let cases: [(&str, FaultKind, Vec<Fix>); 8] = [
        ("BOT-2222", FaultKind::Conflict, with(first, |fix| fix.record = 9)),
        ("BOT-2222", FaultKind::Conflict, with(first, |fix| fix.column = "txt".to_owned())),
        ("BOT-2222", FaultKind::Conflict, with(first, |fix| fix.fingerprint = "r-0".to_owned())),
        ("BOT-2222", FaultKind::Conflict, with(first, |fix| fix.before = "else".to_owned())),
        ("BOT-2223", FaultKind::Gate, vec![first.clone(), first.clone()]),
        (
            "BOT-2225",
            FaultKind::Gate,
            with(&proposal.fixes[2], |fix| fix.after = "mail [phone]".to_owned()),
        ),
        (
            "BOT-2227",
            FaultKind::Gate,
            with(first, |fix| (fix.action, fix.codes) = (FixAction::Remove, "BOT-2120".to_owned())),
        ),
        (
            "BOT-2221",
            FaultKind::Gate,
            (1..=3)
                .map(|record| Fix {
                    record,
                    action: FixAction::Remove,
                    before: DATA
                        .lines()
                        .nth(usize::try_from(record).unwrap())
                        .unwrap()
                        .split(',')
                        .next()
                        .unwrap()
                        .to_owned(),
                    column: "id".to_owned(),
                    codes: String::new(),
                    fingerprint: String::new(),
                    ..first.clone()
                })
                .collect(),
        ),
    ];
    for (code, kind, fixes) in cases {
        let fault = applied(&folder, &path, &fixes, "out.csv").unwrap_err();
        assert_eq!((fault.code(), fault.kind()), (code, kind), "{fault}");
        assert!(!fault.hints().is_empty(), "{fault}");
    }
    let both: Vec<Fix> = proposal
        .fixes
        .iter()
        .filter(|fix| fix.is_applied)
        .map(|fix| Fix { before: "x".to_owned(), ..fix.clone() })
        .collect();
    let fault = applied(&folder, &path, &both, "out.csv").unwrap_err();
    assert_eq!(fault.findings().len(), both.len());
}

#[test]
fn a_redacted_cell_keeps_its_personal_data_unless_the_fix_replaces_them() {
    let folder = Folder::new();
    let path = folder.write("a.csv", DATA);
    let fixes = proposed(&path).fixes;
    let texts: Vec<(&str, &str, bool)> = fixes
        .iter()
        .filter(|fix| fix.record == 2)
        .map(|fix| (fix.codes.as_str(), fix.after.as_str(), fix.is_applied))
        .collect();
    assert_eq!(
        texts,
        [("BOT-2119", "mail [email] now", true), ("BOT-2216", "mail [email] now", false)]
    );
    let kept = applied(&folder, &path, &fixes, "out.csv").unwrap();
    assert!(String::from_utf8_lossy(&kept.repaired.bytes).contains("2,mail a@b.fr now,refund"));
    let replaced: Vec<Fix> = fixes
        .iter()
        .map(|fix| Fix { is_applied: fix.codes == "BOT-2216", ..fix.clone() })
        .collect();
    let replaced = applied(&folder, &path, &replaced, "out.csv").unwrap();
    assert!(
        String::from_utf8_lossy(&replaced.repaired.bytes).contains("2,mail [email] now,refund")
    );
    // Edited around the mark.
    let edited: Vec<Fix> = fixes
        .iter()
        .filter(|fix| fix.codes == "BOT-2119")
        .map(|fix| Fix { after: "please mail [email] at once".to_owned(), ..fix.clone() })
        .collect();
    let edited = applied(&folder, &path, &edited, "out.csv").unwrap();
    assert!(
        String::from_utf8_lossy(&edited.repaired.bytes)
            .contains("2,please mail a@b.fr at once,refund")
    );
}

#[test]
fn a_repeat_stays_if_the_fix_that_makes_it_one_is_not_applied() {
    let folder = Folder::new();
    let text = "text,intent\ni want my money back,refnd\ni want my money back,refund\n";
    let path = folder.write("a.csv", text);
    let fixes = proposed(&path).fixes;
    assert_eq!(
        fixes.iter().map(|fix| fix.codes.as_str()).collect::<Vec<_>>(),
        ["BOT-2113", "BOT-2120"]
    );
    assert_eq!(applied(&folder, &path, &fixes, "out.csv").unwrap().records_out, 1);
    let fault = applied(&folder, &path, &fixes[1..], "out.csv").unwrap_err();
    assert_eq!(fault.code(), "BOT-2227", "{fault}");
}

#[test]
fn html_and_misread_characters_without_their_space_are_repaired_where_it_is_certain() {
    let folder = Folder::new();
    let path = folder.write(
        "a.csv",
        "text,intent\nmon caf&eacute; &amp; moi<br>merci,refund\nun colis Ã  moi,order_status\nmy <b> tag does not work,refund\nj'ai d??j?? pay??,refund\n",
    );
    let proposal = proposed(&path);
    let fixes: Vec<_> = proposal
        .fixes
        .iter()
        .map(|fix| (fix.record, fix.codes.as_str(), fix.after.as_str(), fix.is_applied))
        .collect();
    assert_eq!(
        fixes,
        [(1, "BOT-2242", "mon café & moi merci", true), (2, "BOT-2118", "un colis à moi", true)]
    );
    let left: Vec<_> = proposal
        .remaining
        .findings
        .iter()
        .filter(|found| found.code.starts_with("BOT-224"))
        .map(|found| (found.code.as_str(), found.place.record))
        .collect();
    assert_eq!(left, [("BOT-2242", Some(3)), ("BOT-2243", Some(4))]);
}

#[test]
fn white_space_around_labels_is_removed() {
    let folder = Folder::new();
    let path = folder.write(
        "a.csv",
        "text,intent,lang,channel,note\nmoney back, refund,en ,\u{a0}web,  kept \nwhere is it,order_status,en,web,x\nla suite, refnd ,fr,web,\n",
    );
    let expectations: Expectations = serde_yaml::from_str(
        "version: 1\nintents: [refund, order_status]\nmin_examples_per_intent: 1\nrules:\n- {column: channel, in: [web]}\n",
    )
    .unwrap();
    let proposal =
        propose(&path, &expectations.read_options(), &expectations, &options(), &[]).unwrap();
    let fixes: Vec<_> = proposal
        .fixes
        .iter()
        .map(|fix| (fix.record, fix.column.as_str(), fix.after.as_str(), fix.is_applied))
        .collect();
    assert_eq!(
        fixes,
        [
            (1, "intent", "refund", true),
            (1, "lang", "en", true),
            (1, "channel", "web", true),
            (3, "intent", "refund", true)
        ]
    );
    let read = expectations.read_options();
    let patch = folder.write("patch.csv", patch_csv(&proposal.fixes, proposal.form));
    let out = apply(&path, &read, &read_patch(&patch).unwrap(), &folder.at("b.csv")).unwrap();
    assert_eq!(
        String::from_utf8(out.repaired.bytes.to_vec()).unwrap(),
        "text,intent,lang,channel,note\nmoney back,refund,en,web,  kept \nwhere is it,order_status,en,web,x\nla suite,refund,fr,web,\n"
    );
}

#[test]
fn all_other_bytes_are_written_unchanged() {
    let folder = Folder::new();
    for (name, before, after) in [
        (
            "a.csv",
            "\u{feff}id;text;intent\r\n\r\n1;\"a \"\"b\"\"; c\";\"refnd\"\r\n\r\n2;x\"y;refund\r\n3;x\"y;refund",
            "\u{feff}id;text;intent\r\n\r\n1;\"a \"\"b\"\"; c\";\"refund\"\r\n\r\n2;x\"y;refund",
        ),
        (
            "b.json",
            "[ {\"text\": \"a b\", \"intent\" : \"refnd\", \"n\": 1.50},\n  {\"text\": \"c\", \"intent\": \"refund\"},\n {\"text\": \"c\", \"intent\": \"refund\"}\n]\n",
            "[ {\"text\": \"a b\", \"intent\" : \"refund\", \"n\": 1.50},\n  {\"text\": \"c\", \"intent\": \"refund\"}\n]\n",
        ),
        (
            "c.jsonl",
            "{\"intent\":\"refnd\",\"big\":123456789012345678901234567890,\"text\":\"a\\u00e9\"}\n\n{\"text\":\"b\",\"intent\":\"refund\"}",
            "{\"intent\":\"refund\",\"big\":123456789012345678901234567890,\"text\":\"a\\u00e9\"}\n\n{\"text\":\"b\",\"intent\":\"refund\"}",
        ),
    ] {
        let path = folder.write(name, before);
        let proposal = proposed(&path);
        let out = applied(&folder, &path, &proposal.fixes, name).unwrap();
        assert_eq!(String::from_utf8_lossy(&out.repaired.bytes), after, "{:#?}", proposal.fixes);
    }
}

#[test]
fn packed_data_are_repaired_and_packed_again() {
    let folder = Folder::new();
    let mut packed = Vec::new();
    let plain = Repaired {
        bytes: Bytes::from_static(DATA.as_bytes()),
        format: Format::Csv,
        read: ReadOptions::default(),
    };
    plain.write(Packing::Gzip, &mut packed).unwrap();
    let path = folder.write("a.csv.gz", &packed);
    let out = applied(&folder, &path, &proposed(&path).fixes, "b.csv.zst").unwrap();
    let mut packed = Vec::new();
    out.repaired.write(Packing::Zstd, &mut packed).unwrap();
    let again = proposed(&folder.write("b.csv.zst", packed));
    assert_eq!((again.records_in, again.to_apply), (3, 0));
}
