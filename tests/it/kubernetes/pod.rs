//! A pod as rendered, run on this machine: its volumes at their paths, as its user, and everything else read-only.

use super::only;
use crate::support::{Folder, program};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
};

/// The place of the program in the pod; the image has it elsewhere, which is read-only here.
const PROGRAM: &str = "/srv/bin/botops";

/// Returns whether pods can be run here: mounts take root.
pub(super) fn can_run() -> bool {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let has = |name| Command::new(name).arg("--version").output().is_ok();
    is_root && has("unshare") && has("setpriv")
}

/// The container of a pod, with its volumes in a folder.
pub(super) struct Pod {
    container: Value,
    user: u64,
    folder: Folder,
    environment: BTreeMap<String, String>,
    /// The paths of the container with their sources, parents first, and whether they are read-only.
    mounts: Vec<(String, PathBuf, bool)>,
}

impl Pod {
    /// Makes the volumes of a pod template: settings and secrets with their content, others empty.
    ///
    /// `change` is applied to the settings; buckets have other names here.
    pub(super) fn new(
        template: &Value,
        documents: &[Value],
        change: impl Fn(&str) -> String,
    ) -> Self {
        let folder = Folder::empty();
        let spec = &template["spec"];
        let user = spec["securityContext"]["runAsUser"].as_u64().unwrap();
        let group = spec["securityContext"]["fsGroup"].as_u64().unwrap() as u32;
        for volume in spec["volumes"].as_array().unwrap() {
            let place = folder.path().join(volume["name"].as_str().unwrap());
            fs::create_dir(&place).unwrap();
            if volume.get("configMap").is_some() {
                for (name, content) in only(documents, "ConfigMap")["data"].as_object().unwrap() {
                    fs::write(place.join(name), change(content.as_str().unwrap())).unwrap();
                }
            } else if volume["name"] == "tls" {
                let made =
                    rcgen::generate_simple_self_signed(["bots.example.com".to_owned()]).unwrap();
                secret(&place.join("tls.crt"), &made.cert.pem(), group);
                secret(&place.join("tls.key"), &made.signing_key.serialize_pem(), group);
            } else if volume.get("secret").is_some() {
                for item in volume["secret"]["items"].as_array().unwrap() {
                    let key = item["key"].as_str().unwrap();
                    secret(&place.join(item["path"].as_str().unwrap()), &secret_of(key), group);
                }
            } else {
                fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
            }
        }
        let container = spec["containers"][0].clone();
        let mut mounts: Vec<_> = container["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mount| {
                let text = |key: &str| mount[key].as_str().unwrap_or_default();
                let source = folder.path().join(text("name")).join(text("subPath"));
                (text("mountPath").to_owned(), source, mount["readOnly"] == true)
            })
            .collect();
        mounts.sort();
        let variables = container["env"].as_array().into_iter().flatten();
        let environment = variables
            .filter_map(|it| {
                Some((it["name"].as_str()?.to_owned(), it["value"].as_str()?.to_owned()))
            })
            .collect();
        Self { container, user, folder, environment, mounts }
    }

    /// Adds variables, as `envFrom` does.
    pub(super) fn with_environment(mut self, more: &BTreeMap<String, String>) -> Self {
        self.environment.extend(more.clone());
        self
    }

    /// Returns the variables of the container with values.
    pub(super) fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Returns the arguments of the container.
    pub(super) fn arguments(&self) -> Vec<String> {
        let arguments = self.container["args"].as_array().unwrap();
        arguments.iter().map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    /// Returns the path on this machine of a volume.
    pub(super) fn volume(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the program in the pod with these arguments.
    pub(super) fn command(&self, arguments: &[impl AsRef<str>]) -> Command {
        let mut script = String::from(
            "set -e\nmount --make-rprivate /\nmount -t tmpfs tmpfs /srv\nmount -t tmpfs tmpfs /run\nmkdir /srv/bin\n",
        );
        let mut bind = |source: &Path, target: &str, is_read_only: bool| {
            let source = source.display();
            let make = if Path::new(&source.to_string()).is_dir() { "mkdir -p" } else { "touch" };
            script += &format!("mkdir -p $(dirname {target})\n{make} {target}\n");
            script += &format!("mount --bind {source} {target}\n");
            if is_read_only {
                script += &format!("mount -o remount,bind,ro {target}\n");
            }
        };
        bind(program(), PROGRAM, true);
        // The volumes are below /tmp, so that is hidden last.
        let (last, first): (Vec<_>, Vec<_>) =
            self.mounts.iter().partition(|(target, _, _)| target == "/tmp");
        for (target, source, is_read_only) in first.into_iter().chain(last) {
            bind(source, target, *is_read_only);
        }
        for root in ["/", "/srv", "/run"] {
            script += &format!("mount -o remount,bind,ro {root}\n");
        }
        let user = self.user;
        script += &format!(
            "cd /srv/botops\nexec setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all env -i \"$@\"\n"
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "sh", "HOME=/home/nonroot"]);
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(PROGRAM).args(arguments.iter().map(AsRef::as_ref));
        command
    }

    /// Returns the files in volumes that a container may write to: the volume, and the path in the container.
    pub(super) fn written(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (target, source, is_read_only) in &self.mounts {
            if !is_read_only {
                let volume = source.file_name().unwrap().to_str().unwrap();
                files(volume, source, target, &mut found);
            }
        }
        // Files that are mounted into a volume leave an empty one in it.
        found.retain(|(_, file)| !self.mounts.iter().any(|(target, _, _)| target == file));
        found
    }
}

fn files(volume: &str, folder: &Path, shown: &str, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let shown = format!("{shown}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => files(volume, &entry.path(), &shown, found),
            false => found.push((volume.to_owned(), shown)),
        }
    }
}

/// Writes a file that the group of the pod reads.
fn secret(path: &Path, content: &str, group: u32) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o440)).unwrap();
    chown(path, Some(0), Some(group)).unwrap();
}

/// Returns a secret that the setting of this key takes.
fn secret_of(key: &str) -> String {
    match key {
        "conversations_url" | "url" => "postgres://bots:password@127.0.0.1:1/bots".to_owned(),
        "redis_url" | "limits_url" => "redis://:password@127.0.0.1:1/0".to_owned(),
        "data_key" => "first:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
        key => format!("{key}-of-the-tests-with-forty-characters-or-more"),
    }
}
