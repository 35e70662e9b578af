//! Opening an object store at a path or URL.

use super::{Retries, aws_profile, encryption, regular_files::RegularFiles};
use botops_findings::{Fault, Result};
use botops_text::{display, url_scheme};
use object_store::{
    ClientConfigKey, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut},
    local::LocalFileSystem,
    path::Path as ObjectPath,
    prefix::PrefixStore,
};
use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
    sync::Arc,
};

/// Opens `location`, without reading, writing or creating anything.
pub(super) fn open(
    location: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>> {
    if location.trim().is_empty() {
        return Err(refused("the location of the store is empty".to_owned()));
    }
    match location.split_once("://") {
        Some(("s3", rest)) => s3(rest, environment),
        Some(("file", _)) => local(&file_url(location)?, location),
        Some((scheme, _)) => Err(refused(format!("`{scheme}://` is not a supported store"))),
        None => match url_scheme(location) {
            Some(scheme) => Err(like_a_url(scheme, location)),
            None => local(Path::new(location), location),
        },
    }
}

/// Returns the fault of a location such as `s3:/bucket`, which is neither a URL of a store nor meant as a folder.
fn like_a_url(scheme: &str, location: &str) -> Fault {
    let shown = display(location, 80);
    let fault = match location.contains('@') {
        // It may hold a password.
        true => {
            refused(format!("the location begins with `{scheme}:`, but is not the URL of a store"))
        }
        false => refused(format!("`{shown}` begins like a URL, but is not the URL of a store")),
    };
    match location.contains('@') {
        true => fault,
        false => fault.hint(format!("if it is a folder, write `./{shown}`")),
    }
}

/// Returns the folder of a local `location`; `None` for other locations.
pub(super) fn folder(location: &str) -> Option<PathBuf> {
    match location.split_once("://") {
        None => url_scheme(location).is_none().then(|| PathBuf::from(location)),
        Some(("file", _)) => file_url(location).ok(),
        Some(_) => None,
    }
}

fn refused(message: String) -> Fault {
    Fault::usage("BOT-5001", message).hint(
        "a store is a path such as `registry`, `file:///srv/registry` or `s3://bucket/prefix`",
    )
}

fn file_url(location: &str) -> Result<PathBuf> {
    let refuse = || {
        let rest = location.trim_start_matches("file://");
        let host = rest.split('/').next().unwrap_or("");
        if host.contains('@') {
            return refused("a `file://` URL has no host, user or password".to_owned());
        }
        refused(format!("`{location}` has the host `{host}`, and `file://` URLs have none"))
            .hint(format!("write `file:///` and the absolute path, or only the path: `{rest}`"))
    };
    let url = url::Url::parse(location).map_err(|error| refuse().caused_by(error))?;
    url.to_file_path().map_err(|()| refuse())
}

/// Opens a folder, which the first write creates; messages call it `shown`.
fn local(path: &Path, shown: &str) -> Result<Arc<dyn ObjectStore>> {
    let absolute = resolved(path)
        .map_err(|error| refused(format!("`{shown}` cannot be resolved: {error}")))?;
    if absolute.exists() && !absolute.is_dir() {
        return Err(refused(format!("`{shown}` is a file, not a folder")));
    }
    let prefix = ObjectPath::from_absolute_path(&absolute).map_err(|error| {
        refused(format!("`{shown}` cannot be a store: {error}")).caused_by(error)
    })?;
    // Rooted at `/` with a prefix, because a store rooted at the folder needs the folder to exist.
    let disk = RegularFiles::new(LocalFileSystem::new().with_fsync(true));
    Ok(Arc::new(PrefixStore::new(disk, prefix)))
}

/// Returns `path` as an absolute path without links and `..`; its last components need not exist.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    use std::io::ErrorKind::{NotFound, PermissionDenied};
    let absolute = std::path::absolute(path)?;
    let mut known = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                known.pop();
            }
            other => {
                known.push(other);
                // Each link is resolved at once, so that `..` after it refers to the parent of its target.
                match known.canonicalize() {
                    Ok(real) => known = real,
                    // Missing permissions are reported by the first read or write.
                    Err(error) if matches!(error.kind(), NotFound | PermissionDenied) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(known)
}

fn s3(rest: &str, environment: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.contains('@') {
        return Err(refused("an `s3://` location must not contain credentials".to_owned())
            .hint("set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` instead"));
    }
    let plausible = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plausible) {
        return Err(refused(format!("`{bucket}` is not a valid bucket name"))
            .hint("bucket names have 3 to 63 lowercase letters, digits, `-` and `.`"));
    }
    let prefix = ObjectPath::parse(prefix.trim_matches('/')).map_err(|error| {
        refused(format!("`{prefix}` is not a valid prefix in a bucket")).caused_by(error)
    })?;

    encryption::check(environment)?;
    let environment = &aws_profile::complete(environment)?;
    let endpoint = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]
        .iter()
        .find_map(|name| environment.get(*name).map(|value| (*name, value.as_str())));
    let mut builder = AmazonS3Builder::new()
        .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), "2 seconds");
    if let Some((name, endpoint)) = endpoint
        && allowed_over_http(name, endpoint, environment)?
    {
        builder = builder.with_allow_http(true);
    }
    for (name, value) in environment {
        // Variables that object_store does not support are ignored: they may belong to other AWS tools.
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    botops_http::install_tls();
    let store = builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // Many compatible servers support only the plain DELETE, which has the same statuses as other requests.
        .with_disable_bulk_delete(true)
        // Only this crate retries: a conditional write that object_store repeats could conflict with itself.
        .with_retry(RetryConfig {
            max_retries: 0,
            retry_timeout: Retries::default().at_most,
            ..RetryConfig::default()
        })
        .build()
        .map_err(|error| {
            refused(format!("`s3://{rest}` cannot be opened: {error}"))
                .hint("check the `AWS_*` variables")
                .caused_by(error)
        })?;
    Ok(if prefix.is_root() { Arc::new(store) } else { Arc::new(PrefixStore::new(store, prefix)) })
}

/// Returns whether the endpoint uses plain http, which is allowed on loopback addresses or with `AWS_ALLOW_HTTP=true`.
fn allowed_over_http(
    name: &str,
    endpoint: &str,
    environment: &BTreeMap<String, String>,
) -> Result<bool> {
    let url = url::Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        return Err(refused(format!("`{name}` is not an http or https URL"))
            .hint(format!("write it as `{name}=http://127.0.0.1:9000`")));
    };
    // The URL ends up in messages of other libraries, and S3 has no use for these.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused(format!("`{name}` must not contain a user or a password"))
            .hint("set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` instead"));
    }
    if url.scheme() == "https" {
        return Ok(false);
    }
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let allowed = environment.get("AWS_ALLOW_HTTP").is_some_and(|value| {
        matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
    });
    if loopback || allowed {
        Ok(true)
    } else {
        Err(refused(format!("`{name}` is a plain-http URL of another machine"))
            .hint("use https, or set `AWS_ALLOW_HTTP=true` if the network is trusted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(location: &str, environment: &[(&str, &str)]) -> String {
        let environment =
            environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        match open(location, &environment) {
            Ok(_) => "opened".to_owned(),
            Err(fault) => {
                assert_eq!(fault.code(), "BOT-5001");
                assert_eq!(fault.kind(), botops_findings::FaultKind::Usage);
                assert!(!fault.hints().is_empty());
                fault.message().to_owned()
            }
        }
    }

    #[test]
    fn invalid_locations_are_refused() {
        assert_eq!(message("  ", &[]), "the location of the store is empty");
        assert_eq!(message("gs://bucket/x", &[]), "`gs://` is not a supported store");
        assert_eq!(
            message("file://name/x", &[]),
            "`file://name/x` has the host `name`, and `file://` URLs have none"
        );
        assert_eq!(message("s3://", &[]), "`` is not a valid bucket name");
        assert_eq!(message("s3://UPPER/x", &[]), "`UPPER` is not a valid bucket name");
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(message(path, &[]), format!("`{path}` is a file, not a folder"));
    }

    #[test]
    fn credentials_in_a_location_or_an_endpoint_are_refused_and_not_repeated() {
        for location in [
            "s3://AKIA:hunter2@bucket/x",
            "s3:/AKIA:hunter2@bucket/x",
            "http://ada:hunter2@host/x",
            "file://ada:hunter2@host/x",
        ] {
            let message = message(location, &[]);
            assert!(message != "opened" && !message.contains("hunter2"), "{message}");
        }
        for endpoint in ["http://ada:hunter2@127.0.0.1:9", "https://hunter2@minio.example"] {
            for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"] {
                let refusal = format!("`{name}` must not contain a user or a password");
                assert_eq!(message("s3://bucket/x", &[(name, endpoint)]), refusal);
            }
        }
    }

    #[test]
    fn a_mistyped_url_is_no_folder() {
        for location in ["s3:/b", "s3:b", "http:x", "file:/srv/registry", "S3:/b", "gs:b"] {
            let refusal = format!("`{location}` begins like a URL, but is not the URL of a store");
            assert_eq!(message(location, &[]), refusal);
            assert_eq!(folder(location), None, "{location}");
        }
        assert_eq!(message("./s3:b", &[]), "opened");
    }

    #[test]
    fn plain_http_is_refused_except_on_loopback_or_if_allowed() {
        for endpoint in ["http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"] {
            assert_eq!(message("s3://bucket/x", &[("AWS_ENDPOINT_URL", endpoint)]), "opened");
        }
        let far = ("AWS_ENDPOINT_URL", "http://minio.example:9000");
        let refusal = "`AWS_ENDPOINT_URL` is a plain-http URL of another machine";
        assert_eq!(message("s3://bucket/x", &[far]), refusal);
        assert_eq!(message("s3://bucket/x", &[far, ("AWS_ALLOW_HTTP", "true")]), "opened");
        let other = ("AWS_ENDPOINT_URL", "minio:9000");
        let refusal = "`AWS_ENDPOINT_URL` is not an http or https URL";
        assert_eq!(message("s3://bucket/x", &[other]), refusal);
    }

    #[test]
    fn missing_components_are_resolved_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(resolved(&folder.path().join("a/../b/./c")).unwrap(), real.join("b/c"));
        #[cfg(unix)]
        {
            std::fs::create_dir_all(real.join("far/away")).unwrap();
            std::os::unix::fs::symlink(real.join("far/away"), real.join("link")).unwrap();
            assert_eq!(resolved(&real.join("link/../new")).unwrap(), real.join("far/new"));
        }
    }
}
