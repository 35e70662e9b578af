//! The processes of the parts of `deploy/compose.yaml`, each with the configuration that compose mounts.

use crate::support::{repository, terminal, tool};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(60);

fn configuration(name: &str) -> PathBuf {
    repository().join("deploy/compose").join(name)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs a command to its end, and returns its output.
fn run(command: &mut Command) -> String {
    let (code, text) = terminal(command.stdin(Stdio::null()), LIMIT);
    assert_eq!(code, Some(0), "{command:?}\n{text}");
    text
}

/// Waits until something listens at the port of a process that runs.
fn wait_for(process: &mut Child, port: u16) {
    let until = Instant::now() + LIMIT;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(process.try_wait().unwrap().is_none(), "port {port}: the process ended");
        assert!(Instant::now() < until, "port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
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
    command.args(["-u", "postgres", "--"]).arg(program).current_dir("/");
    command
}

/// Redis and PostgreSQL. They end when this is dropped.
pub(super) struct Parts {
    pub(super) redis_port: u16,
    pub(super) postgres_port: u16,
    redis: Child,
    programs: PathBuf,
    /// The data of PostgreSQL, in a folder that its user may enter.
    folder: tempfile::TempDir,
    passwords: [String; 2],
}

impl Parts {
    /// Starts both with the secrets in `folder`.
    ///
    /// # Errors
    /// The program that is missing.
    pub(super) fn start(folder: &Path) -> Result<Self, &'static str> {
        let programs = (13..=19)
            .rev()
            .map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")))
            .find(|folder| folder.join("initdb").is_file())
            .ok_or("PostgreSQL (Debian: postgresql)")?;
        let redis = tool("BOTOPS_REDIS_SERVER", "redis-server").ok_or("redis-server (Debian)")?;
        tool("BOTOPS_HAPROXY", "haproxy").ok_or("haproxy (Debian)")?;
        let secret = |name: &str| {
            fs::read_to_string(folder.join("secrets").join(name)).unwrap().trim().to_owned()
        };
        let passwords = [secret("redis_password"), secret("postgres_password")];
        let redis_port = free_port();
        // What follows the file replaces the address and the place of the secret.
        let mut redis = Command::new(redis)
            .arg(configuration("redis.conf"))
            .args(["--port", &redis_port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder)
            .arg("--aclfile")
            .arg(folder.join("secrets/redis_users"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&mut redis, redis_port);
        let data = tempfile::tempdir().unwrap();
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let parts = Self {
            redis_port,
            postgres_port: free_port(),
            redis,
            programs,
            folder: data,
            passwords,
        };
        parts.start_postgres();
        Ok(parts)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start_postgres(&self) {
        for name in ["postgresql.conf", "pg_hba.conf"] {
            fs::copy(configuration(name), self.at(name)).unwrap();
        }
        fs::write(self.at("password"), &self.passwords[1]).unwrap();
        for name in ["postgresql.conf", "pg_hba.conf", "password"] {
            fs::set_permissions(self.at(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        let mut initdb = as_postgres(&self.programs.join("initdb"));
        initdb.args(["-U", "botops", "--auth=scram-sha-256", "-E", "UTF8", "-N", "-D"]);
        let (data, password) = (self.at("data"), self.at("password"));
        run(initdb.arg(&data).arg(format!("--pwfile={}", password.display())));
        let options = format!(
            "-c config_file={} -c hba_file={} -c data_directory={} -p {} \
             -c listen_addresses=127.0.0.1 -c unix_socket_directories={}",
            self.at("postgresql.conf").display(),
            self.at("pg_hba.conf").display(),
            data.display(),
            self.postgres_port,
            data.display()
        );
        let mut pg_ctl = as_postgres(&self.programs.join("pg_ctl"));
        pg_ctl.args(["start", "-w", "-t", "60", "-o", &options, "-D"]).arg(&data);
        run(pg_ctl.arg("-l").arg(data.join("server.log")));
        // The image makes the database that its environment names.
        let mut socket = self.psql_at(&data, "template1", &self.passwords[1]);
        run(socket.args(["-c", "create database botops"]));
    }

    fn psql_at(&self, host: &Path, database: &str, password: &str) -> Command {
        let mut command = Command::new(self.programs.join("psql"));
        command.env("PGPASSWORD", password).arg("-h").arg(host).args(["-U", "botops", "-At"]);
        command.args(["-p", &self.postgres_port.to_string(), "-d", database]).current_dir("/");
        command
    }

    fn psql_in(&self, database: &str, password: &str, query: &str) -> String {
        let mut command = self.psql_at(Path::new("127.0.0.1"), database, password);
        terminal(command.args(["-c", query]), LIMIT).1
    }

    /// Runs a query, and returns its rows.
    pub(super) fn psql(&self, query: &str) -> String {
        self.psql_in("botops", &self.passwords[1], query)
    }

    /// Returns what PostgreSQL says to a password.
    pub(super) fn psql_with_password(&self, password: &str) -> String {
        self.psql_in("botops", password, "select 1")
    }

    /// Returns what PostgreSQL says to somebody who asks for another database over the network.
    pub(super) fn psql_elsewhere(&self) -> String {
        self.psql_in("template1", &self.passwords[1], "select 1")
    }

    fn redis_cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-p", &self.redis_port.to_string()]).args(arguments);
        terminal(&mut command, LIMIT).1
    }

    /// Returns the answer of Redis to a command.
    pub(super) fn redis(&self, command: &str) -> String {
        let login = ["--no-auth-warning", "--user", "botops", "-a", &self.passwords[0], command];
        self.redis_cli(&login)
    }

    /// Returns the answer of Redis to somebody.
    pub(super) fn redis_without_password(&self, command: &str) -> String {
        self.redis_cli(&[command])
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        let _ = self.redis.kill();
        let _ = self.redis.wait();
        let mut pg_ctl = as_postgres(&self.programs.join("pg_ctl"));
        pg_ctl.args(["stop", "-m", "immediate", "-w", "-D"]).arg(self.at("data"));
        let _ = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        // The files belong to another user; root removes them.
        let _ = fs::remove_dir_all(self.at("data"));
    }
}

/// The server. It ends when this is dropped.
pub(super) struct Server {
    process: Child,
    /// Its public address.
    pub(super) public: String,
    /// The URL of its admin API.
    pub(super) admin: String,
}

impl Server {
    /// Starts it, and waits until it listens.
    pub(super) fn start(mut command: Command) -> Self {
        let mut process = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("admin API on ") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
        }
        let after = |mark: &str| {
            let (_, rest) = said.split_once(mark).unwrap();
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let (public, admin) = (after("serving support on "), after("admin API on "));
        // The pipe is read as long as it is there.
        std::thread::spawn(move || stderr.lines().for_each(drop));
        Self { process, public, admin }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// HAProxy. It ends when this is dropped.
pub(super) struct Proxy {
    process: Child,
    ports: [u16; 2],
    certificate: PathBuf,
}

impl Proxy {
    /// Starts it before the server at `address`, with the certificate in `folder`.
    pub(super) fn start(folder: &Path, address: &str) -> Self {
        let haproxy = tool("BOTOPS_HAPROXY", "haproxy").unwrap();
        let ports = [free_port(), free_port()];
        let certificate = folder.join("secrets/site.pem");
        let mut process = Command::new(haproxy)
            .args(["-db", "-f"])
            .arg(configuration("haproxy.cfg"))
            .env("BOTOPS_HTTP", format!("127.0.0.1:{}", ports[0]))
            .env("BOTOPS_HTTPS", format!("127.0.0.1:{}", ports[1]))
            .env("BOTOPS_SITE", &certificate)
            .env("BOTOPS_SERVER", address.trim_start_matches("http://"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(&mut process, ports[1]);
        Self { process, ports, certificate }
    }

    /// Returns the exit code of curl and its output.
    pub(super) fn fetch(&self, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]);
        terminal(command.args(arguments).arg(url), LIMIT)
    }

    /// As [`Self::fetch`], over TLS with the certificate of the site, which the client trusts, by the name `site`.
    pub(super) fn curl(&self, site: &str, path: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let resolve = format!("{site}:{}:127.0.0.1", self.ports[1]);
        let trusted = self.certificate.to_str().unwrap();
        let tls = ["--resolve", &resolve, "--cacert", trusted];
        self.fetch(&format!("https://{site}:{}{path}", self.ports[1]), &[&tls, arguments].concat())
    }

    /// As [`Self::fetch`], over plain HTTP, with the head of the answer.
    pub(super) fn plain(&self, path: &str) -> (Option<i32>, String) {
        self.fetch(&format!("http://127.0.0.1:{}{path}", self.ports[0]), &["-D", "-"])
    }

    /// Waits until its health check has found the server.
    pub(super) fn wait_for_servers(&self, site: &str) {
        let until = Instant::now() + LIMIT;
        loop {
            let (_, text) = self.curl(site, "/readiness", &["-D", "-"]);
            if text.contains(" 200") {
                return;
            }
            assert!(Instant::now() < until, "{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
