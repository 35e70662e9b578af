//! Files of load profiles.

use crate::{checked_profile::Profile, profile::ProfileSpec, texts};
use botops_findings::{Fault, Place, Result};
use botops_spec::{self as spec, Outline};
use std::path::Path;

/// The newest version of the format.
const NEWEST: u32 = 1;

impl Profile {
    /// Reads and checks the profile at `path`, and its texts.
    ///
    /// # Errors
    /// Those of [`botops_spec::read_versioned`]; `BOT-6280` (exit 2) a setting is out of range, or contradicts another one, with
    /// its line; `BOT-6288` (exit 2) the file of texts cannot be used.
    pub fn read(path: &Path) -> Result<Self> {
        let yaml = spec::text(path)?;
        let file = path.display().to_string();
        spec::check_version(&yaml, &file, NEWEST)?;
        let written: ProfileSpec = spec::parse(&yaml, &file)?;
        let located = |fault: Fault| place(fault, &yaml, &file);
        let texts = match &written.texts {
            Some(named) => texts::read(&path.parent().unwrap_or(Path::new("")).join(named))?,
            None => texts::built_in(),
        };
        Self::check(&written, texts).map_err(located)
    }
}

/// Adds the file, and the line of the key that `fault` names.
fn place(fault: Fault, yaml: &str, file: &str) -> Fault {
    let key = fault.place().key.clone();
    let at = key.as_deref().and_then(|key| Outline::of(yaml).place(key));
    let (line, column) = at.map_or((None, None), |(line, column)| (Some(line), Some(column)));
    fault.at(Place { file: Some(file.to_owned()), line, column, key, ..Place::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: 1
name: small
loop: closed
stages:
- { name: up, duration: 2s, users: 10 }
- { name: hold, duration: 5s, users: 10, thresholds: ['p95 < 50ms'] }
think: { min: 100ms, max: 300ms }
mix: { chat: 6, predict: 3, websocket: 1 }
timeout: 5s
retry: { max: 3 }
thresholds:
- errors = 0
";

    fn read(yaml: &str) -> Result<Profile> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.yaml");
        std::fs::write(&path, yaml).unwrap();
        Profile::read(&path)
    }

    #[test]
    fn a_profile_is_read_with_its_defaults() {
        let profile = read(GOOD).unwrap();
        assert_eq!(profile.stages.len(), 2);
        assert_eq!(profile.retries.max, 3);
        assert_eq!(profile.retries.backoff, std::time::Duration::from_millis(50));
        assert_eq!(profile.max_in_flight, 1_000);
        assert!(profile.texts.len() > 10 && profile.is_corrected());
    }

    #[test]
    fn a_mistake_names_its_line_and_its_key() {
        let cases = [
            ("loop: closed", "loops: closed", "BOT-1011", 3, "loops"),
            ("duration: 2s", "duration: soon", "BOT-6280", 5, "stages[0].duration"),
            ("users: 10 }", "rate: 10 }", "BOT-6280", 5, "stages[0].rate"),
            ("name: hold", "name: up", "BOT-6280", 6, "stages[1].name"),
            ("p95 < 50ms", "p95 < 50", "BOT-6280", 6, "stages[1].thresholds[0]"),
            ("min: 100ms", "min: 400ms", "BOT-6280", 7, "think"),
            ("chat: 6, predict: 3, websocket: 1", "chat: 0", "BOT-6280", 8, "mix"),
            ("timeout: 5s", "timeout: 0s", "BOT-6280", 9, "timeout"),
            ("max: 3 }\n", "max: 11 }\n", "BOT-6280", 10, "retry.max"),
            ("errors = 0", "errors == 0", "BOT-6280", 12, "thresholds[0]"),
            ("name: small", "name: \"a\\nb\"", "BOT-6280", 2, "name"),
        ];
        for (good, bad, code, line, key) in cases {
            let fault = read(&GOOD.replacen(good, bad, 1)).unwrap_err();
            assert_eq!((fault.code(), fault.kind().exit_code()), (code, 2), "{bad}: {fault}");
            assert_eq!(fault.place().line, Some(line), "{bad}: {fault}");
            assert_eq!(fault.place().key.as_deref(), Some(key), "{bad}");
        }
        let fault = read(&GOOD.replace("version: 1", "version: 2")).unwrap_err();
        assert_eq!((fault.code(), fault.kind().exit_code()), ("BOT-1015", 6));
        let empty = GOOD.replace("users: 10", "users: 0");
        assert_eq!(read(&empty).unwrap_err().place().key.as_deref(), Some("stages"));
    }

    #[test]
    fn texts_come_from_a_file_beside_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.yaml");
        std::fs::write(&path, format!("{GOOD}texts: texts.txt\n")).unwrap();
        assert_eq!(Profile::read(&path).unwrap_err().code(), "BOT-1001");
        std::fs::write(folder.path().join("texts.txt"), "one\n\n  two \n").unwrap();
        assert_eq!(Profile::read(&path).unwrap().texts, ["one", "two"]);
        std::fs::write(folder.path().join("texts.txt"), "\n \n").unwrap();
        assert_eq!(Profile::read(&path).unwrap_err().code(), "BOT-6288");
        std::fs::write(folder.path().join("texts.txt"), [0xff, 0xfe]).unwrap();
        assert_eq!(Profile::read(&path).unwrap_err().code(), "BOT-6288");
    }

    #[test]
    fn a_scaled_profile_keeps_its_form() {
        let profile = read(GOOD).unwrap().scaled(0.5, 0.25).unwrap();
        let form: Vec<(u128, f64)> =
            profile.stages.iter().map(|stage| (stage.duration.as_millis(), stage.to)).collect();
        assert_eq!(form, [(1_000, 3.0), (2_500, 3.0)]);
        for (time, load) in
            [(0.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (1.0, 100_000.0)]
        {
            assert_eq!(read(GOOD).unwrap().scaled(time, load).unwrap_err().code(), "BOT-6280");
        }
        assert_eq!(read(GOOD).unwrap().with_retries(0).unwrap().retries.max, 0);
        assert_eq!(read(GOOD).unwrap().with_retries(5).unwrap().retries.max, 5);
        assert_eq!(read(GOOD).unwrap().with_retries(11).unwrap_err().code(), "BOT-6280");
    }
}
