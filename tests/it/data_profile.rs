//! `botops data profile`: the contents of a data set, alone and compared with an earlier one.

use crate::terminal::Terminal;
use serde_json::Value;

const BEFORE: &str = "text,intent,lang,paid\nwhere is my parcel,order_status,en,1.5\n\
    où est mon colis,order_status,fr,2\nmy password is lost,account_help,en,\n\
    write to a.person@example.org please,account_help,en,4\nhow is the weather,oos,en,3\n";
const AFTER: &str = "text,intent,lang,paid\nwhere is my parcel,order_status,en,1.5\n\
    où est mon colis,order_status,en,2\nmy password is lost,account_help,en,\n,refund,en,7\n";

fn terminal() -> Terminal {
    let terminal = Terminal::new();
    terminal.write("before.csv", BEFORE).write("after.csv", AFTER);
    terminal
}

#[test]
fn a_profile_is_printed_as_tables() {
    insta::assert_snapshot!(terminal().run("data profile before.csv"));
}

#[test]
fn a_profile_is_compared_with_an_earlier_one() {
    let terminal = terminal();
    insta::assert_snapshot!(
        terminal.run("data profile after.csv --against before.csv --html page.html")
    );
    let page = std::fs::read_to_string(terminal.path().join("page.html")).unwrap();
    assert!(page.contains("before 2, now 1"), "account_help lost a record");
    assert!(page.contains("1 text reads as another language than declared."));
}

#[test]
fn a_summary_is_markdown_and_json_has_the_whole_profile() {
    let terminal = terminal();
    insta::assert_snapshot!(
        terminal.run("data profile after.csv --against before.csv --format markdown")
    );
    let json = terminal.stdout("--format json data profile before.csv");
    assert!(!json.contains("a.person@example.org"), "{json}");
    let document: Value = serde_json::from_str(&json).unwrap();
    let data = &document["data"];
    assert_eq!(data["schema"], "botops.profile/1");
    assert_eq!(data["text"]["intents"]["order_status"]["records"], 2);
    assert_eq!(data["text"]["languages"]["fr"]["fr"], 1);
    assert_eq!(data["columns"][3]["kind"], "number");
    assert_eq!(
        (&data["columns"][3]["min"], &data["columns"][3]["max"]),
        (&"1.5".into(), &"4".into())
    );
}

#[test]
fn a_dry_run_writes_nothing_and_mistakes_are_reported() {
    let terminal = terminal();
    terminal.write("bare.csv", "n,m\n1,2\n3,4\n");
    for line in [
        "data profile before.csv --html page.html --dry-run",
        "data profile bare.csv",
        "data profile before.csv --html before.csv",
        "data profile absent.csv",
        "data profile before.csv --text-column phrase",
        "data duplicates before.csv --format markdown",
    ] {
        insta::assert_snapshot!(terminal.run(line));
    }
    assert!(!terminal.path().join("page.html").exists());
    assert_eq!(std::fs::read_to_string(terminal.path().join("before.csv")).unwrap(), BEFORE);
}
