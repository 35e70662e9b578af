//! Real servers of the system's packages, on free ports of this machine, stopped when they are dropped.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Notes that a test does not run because `missing` is missing. Fails under `BOTOPS_REQUIRE_ALL=1`.
fn skip(missing: &str) {
    let required = env::var_os("BOTOPS_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "BOTOPS_REQUIRE_ALL=1, and {missing} is absent");
    let _ = writeln!(std::io::stderr(), "skipped: {missing} is absent");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A PostgreSQL server with a database of its own, which keeps its data over a restart.
pub(crate) struct Postgres {
    programs: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

/// Runs a program of PostgreSQL, which refuses to run as root: as `postgres` then.
fn as_postgres(program: &Path) -> Command {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt as _;
        own.uid() == 0
    });
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("runuser");
    command.args(["-u", "postgres", "--"]).arg(program);
    command
}

/// Runs a command to its end, whose children may live on with its output.
fn run(command: &mut Command) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.current_dir("/").status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

impl Postgres {
    /// Starts a server; `None`, with a note, if PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = (13..=19)
            .rev()
            .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
            .find(|folder| folder.join("initdb").is_file())
        else {
            skip("PostgreSQL (Debian: postgresql-15)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // Only `postgres` writes it, and it may be another user.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let server = Self { programs, folder, port: free_port() };
        let mut initdb = as_postgres(&server.programs.join("initdb"));
        run(initdb
            .args(["-U", "botops", "-A", "trust", "-E", "UTF8", "-N", "-D"])
            .arg(server.data()));
        server.up();
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the URL of its database.
    pub(crate) fn url(&self) -> String {
        format!("postgres://botops@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it again.
    pub(crate) fn up(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=100",
            self.port,
            self.data().display()
        );
        let mut pg_ctl = as_postgres(&self.programs.join("pg_ctl"));
        pg_ctl.args(["start", "-w", "-t", "60", "-o", &options, "-D"]).arg(self.data());
        run(pg_ctl.arg("-l").arg(self.data().join("server.log")));
    }

    /// Kills it, without a checkpoint: it recovers from its log when it starts again.
    pub(crate) fn kill(&self) {
        let mut pg_ctl = as_postgres(&self.programs.join("pg_ctl"));
        run(pg_ctl.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.data()));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut pg_ctl = as_postgres(&self.programs.join("pg_ctl"));
        pg_ctl.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.data());
        let _ = pg_ctl.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null()).status();
        // The files belong to another user; root removes them.
        let _ = fs::remove_dir_all(self.data());
    }
}

/// A Redis server, which keeps its data over a restart.
pub(crate) struct Redis {
    folder: tempfile::TempDir,
    port: u16,
    sync: &'static str,
    child: Option<Child>,
}

impl Redis {
    /// Starts a server with this setting of `appendfsync`; `None`, with a note, if Redis is not installed.
    pub(crate) fn start(sync: &'static str) -> Option<Self> {
        let installed =
            Command::new("redis-server").arg("--version").stdout(Stdio::null()).status();
        if installed.is_err() {
            skip("Redis (Debian: redis-server)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, port: free_port(), sync, child: None };
        server.up();
        Some(server)
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Returns the folder with its files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again, and waits until it has read its data.
    pub(crate) fn up(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", self.sync, "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let until = Instant::now() + Duration::from_secs(30);
        while !self.answers() {
            assert!(Instant::now() < until, "Redis does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let mut answer = [0; 5];
        TcpStream::connect(("127.0.0.1", self.port)).is_ok_and(|mut stream| {
            stream.write_all(b"PING\r\n").is_ok()
                && stream.read_exact(&mut answer).is_ok()
                && &answer == b"+PONG"
        })
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
