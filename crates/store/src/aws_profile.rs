//! The AWS profile: settings from the files that the AWS command line writes, for variables that are not set.
//!
//! The credentials are in `~/.aws/credentials`, the region and the endpoint in `~/.aws/config`. `AWS_PROFILE` names the
//! profile, `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name other files. Variables precede files, as for the AWS
//! command line.

use botops_findings::{Fault, Result};
use botops_text::display;
use ini::{Ini, ParseOption, Properties};
use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// The name of the profile if none is named.
const DEFAULT: &str = "default";

/// The keys of a profile that hold credentials, each with its variable.
const CREDENTIALS: [(&str, &str); 3] = [
    ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
    ("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ("aws_session_token", "AWS_SESSION_TOKEN"),
];

/// The variables with which the process gets credentials without a profile.
const OTHER_SOURCES: [&str; 5] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_SKIP_SIGNATURE",
];

/// The keys of a profile whose credentials only the AWS command line can get.
const UNSUPPORTED: [&str; 4] = ["credential_process", "sso_session", "sso_start_url", "role_arn"];

/// Adds the settings of the profile in force to `environment`, whose variables stay as they are.
///
/// # Errors
/// `BOT-5070` (exit 2) if `AWS_PROFILE` names a profile that no file has, if a file cannot be read, or if the profile gets
/// its credentials in a way that botops does not support. No message contains a credential.
pub(super) fn complete(environment: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut complete = environment.clone();
    let set = |name: &str| environment.get(name).filter(|value| !value.trim().is_empty());
    let named = set("AWS_PROFILE").or_else(|| set("AWS_DEFAULT_PROFILE")).map(|name| name.trim());
    let name = named.unwrap_or(DEFAULT);
    let files = Files::read(&set)?;
    if let Some(name) = named.filter(|name| !files.have(name)) {
        return Err(files.unknown(name));
    }
    let mut add = |variable: &str, value: Option<&str>| {
        if let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) {
            complete.insert(variable.to_owned(), value.to_owned());
        }
    };
    // A key from a variable and a secret from a file would not fit together.
    let has_keys = CREDENTIALS.iter().any(|(_, variable)| set(variable).is_some());
    let source =
        files.sections(name).into_iter().find(|section| section.get(CREDENTIALS[0].0).is_some());
    if let (false, Some(section)) = (has_keys, source) {
        for (key, variable) in CREDENTIALS {
            add(variable, section.get(key));
        }
    }
    let has_other = named.is_none() && OTHER_SOURCES.iter().any(|variable| set(variable).is_some());
    if !has_keys && source.is_none() && !has_other {
        files.check_supported(name)?;
    }
    let setting =
        |key: &str| files.sections(name).into_iter().rev().find_map(|section| section.get(key));
    if set("AWS_REGION").is_none() && set("AWS_DEFAULT_REGION").is_none() {
        add("AWS_REGION", setting("region"));
    }
    let endpoints = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];
    let ignores = set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !ignores && endpoints.iter().all(|variable| set(variable).is_none()) {
        add("AWS_ENDPOINT_URL", setting("endpoint_url"));
    }
    Ok(complete)
}

/// The two files of profiles.
struct Files {
    credentials: (PathBuf, Ini),
    config: (PathBuf, Ini),
}

impl Files {
    fn read<'e>(set: &impl Fn(&str) -> Option<&'e String>) -> Result<Self> {
        let home = set("HOME").or_else(|| set("USERPROFILE")).map(PathBuf::from);
        let at = |variable: &str, name: &str| match (set(variable), &home) {
            (Some(path), Some(home)) => match path.strip_prefix("~/") {
                Some(below) => home.join(below),
                None => PathBuf::from(path),
            },
            (Some(path), None) => PathBuf::from(path),
            (None, Some(home)) => home.join(".aws").join(name),
            (None, None) => PathBuf::new(),
        };
        let file = |path: PathBuf| read(&path).map(|ini| (path, ini));
        Ok(Self {
            credentials: file(at("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?,
            config: file(at("AWS_CONFIG_FILE", "config"))?,
        })
    }

    /// Returns the sections of the profile `name`: that of the credentials first.
    fn sections(&self, name: &str) -> Vec<&Properties> {
        let profile = format!("profile {name}");
        let of_config = self.config.1.section(Some(profile.as_str()));
        let of_config =
            of_config.or_else(|| self.config.1.section(Some(name)).filter(|_| name == DEFAULT));
        self.credentials.1.section(Some(name)).into_iter().chain(of_config).collect()
    }

    fn have(&self, name: &str) -> bool {
        !self.sections(name).is_empty()
    }

    /// The fault of a profile that no file has.
    fn unknown(&self, name: &str) -> Fault {
        let (credentials, config) = (self.credentials.0.display(), self.config.0.display());
        let message = format!("there is no AWS profile `{}`", display(name, 60));
        let mut names: Vec<&str> = self.credentials.1.sections().flatten().collect();
        names.extend(
            self.config.1.sections().flatten().map(|name| name.trim_start_matches("profile ")),
        );
        names.sort_unstable();
        names.dedup();
        let names: Vec<String> =
            names.iter().take(10).map(|name| format!("`{}`", display(name, 60))).collect();
        let fault = Fault::usage("BOT-5070", message)
            .hint(format!("`AWS_PROFILE` names a section of `{credentials}`, or a section `profile NAME` of `{config}`"));
        match names.is_empty() {
            true => fault,
            false => fault.hint(format!("known profiles: {}", names.join(", "))),
        }
    }

    /// Refuses a profile whose credentials only the AWS command line can get. Requests would be sent without them.
    fn check_supported(&self, name: &str) -> Result<()> {
        let sections = self.sections(name);
        let key = UNSUPPORTED
            .iter()
            .find(|key| sections.iter().any(|section| section.get(**key).is_some()));
        let Some(key) = key else { return Ok(()) };
        let message = format!(
            "the AWS profile `{}` gets its credentials by `{key}`, which botops does not read",
            display(name, 60)
        );
        let words =
            ["aws", "configure", "export-credentials", "--profile", name, "--format", "env"];
        Err(Fault::usage("BOT-5070", message)
            .file(self.config.0.display().to_string())
            .hint(format!("export them first: `eval \"$({})\"`", botops_text::shell_line(words))))
    }
}

/// Reads the file at `path`; a file that does not exist has no profiles.
fn read(path: &Path) -> Result<Ini> {
    if path.as_os_str().is_empty() {
        return Ok(Ini::new());
    }
    let fault = |why: &str| {
        Fault::usage("BOT-5070", format!("the AWS profiles in `{}` cannot be read: {why}", path.display()))
            .file(path)
            .hint("correct the file, or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, and name another file")
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Ini::new());
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Err(fault("permission denied"));
        }
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(fault("it is not UTF-8"));
        }
        Err(error) => return Err(fault(&error.to_string())),
    };
    // Secrets may contain backslashes and quotes.
    let options = ParseOption {
        enabled_quote: false,
        enabled_escape: false,
        enabled_indented_mutiline_value: true,
        ..ParseOption::default()
    };
    // The message of the parser may repeat a part of the file.
    Ini::load_from_str_opt(&text, options)
        .map_err(|error| fault(&format!("line {} is malformed", error.line)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const CREDENTIALS_FILE: &str = "[default]\naws_access_key_id = DEFAULTKEY\naws_secret_access_key=sec/ret\\+= # x\n\
        # a comment\n[staging]\naws_access_key_id=STAGINGKEY\naws_secret_access_key=\"quoted\"\naws_session_token=token\n";
    const CONFIG_FILE: &str = "[default]\nregion = eu-west-1\ns3 =\n  max_concurrent_requests = 20\n\
        [profile staging]\nregion=eu-central-1\nendpoint_url = https://minio.example\n\
        [profile login]\nsso_session = work\nregion = us-east-1\n[sso-session work]\nsso_region = us-east-1\n";

    fn home() -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".aws")).unwrap();
        fs::write(home.path().join(".aws/credentials"), CREDENTIALS_FILE).unwrap();
        fs::write(home.path().join(".aws/config"), CONFIG_FILE).unwrap();
        home
    }

    /// Completes `variables`; returns the settings besides the home folder.
    fn completed(home: &Path, variables: &[(&str, &str)]) -> Result<Vec<String>> {
        let mut environment: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        environment.insert("HOME".to_owned(), home.display().to_string());
        let found = complete(&environment)?;
        let settings =
            found.into_iter().filter(|(name, _)| name != "HOME" && name != "AWS_PROFILE");
        Ok(settings.map(|(name, value)| format!("{name}={value}")).collect())
    }

    #[test]
    fn a_profile_gives_credentials_region_and_endpoint() {
        let home = home();
        assert_eq!(
            completed(home.path(), &[]).unwrap(),
            [
                "AWS_ACCESS_KEY_ID=DEFAULTKEY",
                "AWS_REGION=eu-west-1",
                "AWS_SECRET_ACCESS_KEY=sec/ret\\+= # x"
            ]
        );
        assert_eq!(
            completed(home.path(), &[("AWS_PROFILE", "staging")]).unwrap(),
            [
                "AWS_ACCESS_KEY_ID=STAGINGKEY",
                "AWS_ENDPOINT_URL=https://minio.example",
                "AWS_REGION=eu-central-1",
                "AWS_SECRET_ACCESS_KEY=\"quoted\"",
                "AWS_SESSION_TOKEN=token"
            ]
        );
        let elsewhere = home.path().join("mine");
        fs::write(&elsewhere, "[default]\naws_access_key_id=MINE\naws_secret_access_key=s\n")
            .unwrap();
        let file = ("AWS_SHARED_CREDENTIALS_FILE", elsewhere.to_str().unwrap());
        assert!(
            completed(home.path(), &[file]).unwrap().contains(&"AWS_ACCESS_KEY_ID=MINE".to_owned())
        );
    }

    #[test]
    fn variables_precede_the_profile_and_credentials_are_never_mixed() {
        let home = home();
        let keys = [
            ("AWS_ACCESS_KEY_ID", "K"),
            ("AWS_SECRET_ACCESS_KEY", "S"),
            ("AWS_PROFILE", "staging"),
        ];
        assert_eq!(
            completed(home.path(), &keys).unwrap(),
            [
                "AWS_ACCESS_KEY_ID=K",
                "AWS_ENDPOINT_URL=https://minio.example",
                "AWS_REGION=eu-central-1",
                "AWS_SECRET_ACCESS_KEY=S"
            ]
        );
        let region = [("AWS_DEFAULT_REGION", "r"), ("AWS_ENDPOINT_URL_S3", "https://e")];
        let found =
            completed(home.path(), &[region[0], region[1], ("AWS_PROFILE", "staging")]).unwrap();
        assert!(!found.iter().any(|line| line.starts_with("AWS_REGION") || line.starts_with("AWS_ENDPOINT_URL=")));
    }

    #[test]
    fn without_files_nothing_is_added() {
        let home = tempfile::tempdir().unwrap();
        assert!(completed(home.path(), &[]).unwrap().is_empty());
        assert!(complete(&BTreeMap::new()).unwrap().is_empty());
    }

    #[test]
    fn a_profile_that_cannot_be_used_is_refused_without_its_secrets() {
        let home = home();
        let fault = completed(home.path(), &[("AWS_PROFILE", "stagin")]).unwrap_err();
        assert_eq!(fault.code(), "BOT-5070");
        assert!(fault.hints().join(" ").contains("`staging`"), "{:?}", fault.hints());
        let fault = completed(home.path(), &[("AWS_PROFILE", "login")]).unwrap_err();
        assert!(fault.message().contains("`sso_session`"), "{fault}");
        assert!(fault.hints().join(" ").contains("export-credentials --profile login"));
        // With keys, the profile needs none.
        completed(home.path(), &[("AWS_PROFILE", "login"), ("AWS_ACCESS_KEY_ID", "K")]).unwrap();
        fs::write(home.path().join(".aws/credentials"), "[default\nhunter2\n").unwrap();
        let fault = completed(home.path(), &[]).unwrap_err();
        assert_eq!(fault.code(), "BOT-5070");
        assert!(!format!("{fault} {:?}", fault.hints()).contains("hunter2"));
    }
}
