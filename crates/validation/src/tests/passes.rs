//! The number of times that validation reads its rows.

use super::*;

/// Counts how often the rows are read, each time from an opening of the file.
struct Counted {
    rows: TableRows,
    passes: usize,
}

impl Source for Counted {
    fn name(&self) -> &str {
        self.rows.name()
    }

    fn shape(&self) -> &Shape {
        self.rows.shape()
    }

    fn each(&mut self, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        self.passes += 1;
        self.rows.each(each)
    }
}

const SOUND: &str = "id,text,intent\n1,one way,a\n2,two ways,b\n3,or three,a\n";
const TWICE: &str = "id,text,intent\n1,one way,a\n2,one way,a\n3,or three,b\n";
const BROKEN: &str = "id,text,intent\n1,one way,a\n2,,b\n3,or three,b\n";

fn passes(path: &Path, profiles: bool, keep: Keep<'_>) -> (usize, Validation) {
    let origin = Origin::of(path).unwrap();
    let rows = TableRows::open(origin, &ReadOptions::default(), None).unwrap();
    let mut source = Counted { rows, passes: 0 };
    let options = ValidateOptions { profiles, ..ValidateOptions::default() };
    let validation = run(&mut source, &Expectations::default(), &options, keep).unwrap();
    (source.passes, validation)
}

#[test]
fn a_file_is_opened_once_and_a_second_time_only_for_what_the_first_reading_cannot_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.csv");
    for (text, profiles, keep, expected) in [
        (SOUND, false, Keep::Counts, 1),
        (SOUND, true, Keep::Quarantine(output(&path)), 1),
        (BROKEN, false, Keep::Counts, 1),
        (BROKEN, false, Keep::Quarantine(output(&path)), 2),
        (BROKEN, true, Keep::Quarantine(output(&path)), 2),
        (TWICE, false, Keep::Counts, 2),
        (TWICE, true, Keep::Rejected, 2),
    ] {
        let data = at(&folder, "data.csv", text);
        let (passes, validation) = passes(&data, profiles, keep);
        assert_eq!(passes, expected, "{text}, profiles: {profiles}, {keep:?}");
        let Some(change) = validation.profiles else { continue };
        assert_eq!(change.before.records, validation.records_in);
        assert_eq!(change.after.records, validation.records_accepted);
    }
}

#[test]
fn the_accepted_records_are_returned_and_the_others_are_quarantined_with_every_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("q.csv");
    let data = read_bytes(BROKEN.as_bytes(), "data.csv", &ReadOptions::default()).unwrap();
    let file = at(&folder, "data.csv", BROKEN);
    let keep = Keep::Accepted { data: &data, quarantine: &path };
    let (n, validation) = passes(&file, true, keep);
    let accepted = validation.accepted.unwrap();
    assert_eq!((n, accepted.records.len(), validation.rejected.len()), (2, 2, 0));
    let quarantine = fs::read_to_string(&path).unwrap();
    let (header, line) = quarantine.split_once('\n').unwrap();
    assert_eq!(header, "file,record,line,codes,reasons,fingerprint,id,text,intent");
    let cells = [("id", "2"), ("text", ""), ("intent", "b")];
    let fingerprint = quarantine::fingerprint(cells.into_iter());
    assert!(line.ends_with(&format!(",2,3,BOT-2111,the text is empty,{fingerprint},2,,b\n")));
    // A data set of other rows is not divided.
    let other = read_bytes(b"text,intent\na b,x\n", "data.csv", &ReadOptions::default()).unwrap();
    let origin = Origin::of(&file).unwrap();
    let mut rows = TableRows::open(origin, &ReadOptions::default(), None).unwrap();
    fs::remove_file(&path).unwrap();
    let keep = Keep::Accepted { data: &other, quarantine: &path };
    let options = ValidateOptions::default();
    let fault = run(&mut rows, &Expectations::default(), &options, keep).unwrap_err();
    assert_eq!(fault.code(), "BOT-2218");
    assert!(!path.exists());
}
