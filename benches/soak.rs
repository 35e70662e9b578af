//! The memory of a server under load for half an hour.
//!
//! `cargo bench --bench soak -- [USERS] [WARM-UP SECONDS] [SECONDS] [MOST GROWTH IN PERCENT]`
//!
//! By default the load of `deploy/load/soak.yaml`: 100 users with think time, 300 s of warm-up, then 1,800 s, and at most 2 %.
//! The server runs in a process of its own, with a small model, stored conversations and no request log. Its memory is read
//! every second. The bench prints it once a minute, compares the median of the last tenth of the soak with that of the first
//! tenth, and ends with exit code 1 if it grew by more than the bound, or if a request failed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a bench says what it measured")]

use std::{
    error::Error,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The settings of a run.
struct Soak {
    users: u32,
    warm_up: u64,
    seconds: u64,
    most_growth: f64,
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A process that ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run() -> Outcome<bool> {
    // `cargo bench` adds `--bench`; `cargo test --benches` does not, and should end quickly.
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |index: usize, default: u64| match arguments.get(index) {
        Some(text) => text.parse::<u64>(),
        None => Ok(default),
    };
    let soak = Soak {
        users: u32::try_from(number(0, if is_measured { 100 } else { 5 })?)?,
        warm_up: number(1, if is_measured { 300 } else { 1 })?,
        seconds: number(2, if is_measured { 1_800 } else { 2 })?,
        most_growth: match arguments.get(3) {
            Some(text) => text.parse()?,
            // A second says nothing about growth.
            None if is_measured => 2.0,
            None => 1_000.0,
        },
    };
    let folder = tempfile::tempdir()?;
    prepare(folder.path(), &soak)?;
    let (server, address) = serve(folder.path())?;
    let mut bench = Process(
        botops(folder.path())
            .args(["bench", "serve", &address, "--profile", "soak.yaml", "--out", "report.json"])
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()?,
    );
    let begun = Instant::now();
    let mut sizes: Vec<(u64, u64)> = Vec::new();
    let status = loop {
        if let Some(status) = bench.0.try_wait()? {
            break status;
        }
        let second = begun.elapsed().as_secs();
        if sizes.last().is_none_or(|(last, _)| *last < second) {
            let size = resident(server.0.id())?;
            sizes.push((second, size));
            if second.is_multiple_of(60) {
                println!("{second} s: {:.1} MiB", size as f64 / 1024.0);
            }
        }
        thread::sleep(Duration::from_millis(100));
    };
    let growth = growth(&sizes, &soak)?;
    println!(
        "memory grew by {growth:+.2} % in {} s (at most {} %)",
        soak.seconds, soak.most_growth
    );
    Ok(status.success() && growth <= soak.most_growth)
}

/// Returns the growth in percent from the median of the first tenth of the soak to that of the last tenth.
fn growth(sizes: &[(u64, u64)], soak: &Soak) -> Outcome<f64> {
    let tenth = (soak.seconds / 10).max(1);
    let median = |from: u64, to: u64| -> Outcome<f64> {
        let mut within: Vec<u64> =
            sizes.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, size)| *size).collect();
        within.sort_unstable();
        Ok(*within.get(within.len() / 2).ok_or("the memory was not measured")? as f64)
    };
    let end = soak.warm_up + soak.seconds;
    let first = median(soak.warm_up, soak.warm_up + tenth)?;
    let last = median(end - tenth, end)?;
    Ok((last / first - 1.0) * 100.0)
}

/// Returns the memory of process `id` in use, in KiB.
fn resident(id: u32) -> Outcome<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}

fn botops(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_botops"));
    command.current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    command
}

/// Writes the profile, and trains a model.
fn prepare(folder: &Path, soak: &Soak) -> Outcome<()> {
    let mut data = String::from("text,intent\n");
    for i in 0..40 {
        data.push_str(&format!("where is parcel number {i},order_status\n"));
        data.push_str(&format!("I forgot password number {i},account_help\n"));
    }
    std::fs::write(folder.join("data.csv"), data)?;
    let profile = include_str!("../deploy/load/soak.yaml")
        .replace("duration: 5m", &format!("duration: {}s", soak.warm_up))
        .replace("duration: 30m", &format!("duration: {}s", soak.seconds))
        .replace("users: 100", &format!("users: {}", soak.users));
    std::fs::write(folder.join("soak.yaml"), profile)?;
    let trained =
        botops(folder).args(["train", "data.csv", "--out", "model.botops", "--quiet"]).status()?;
    if !trained.success() {
        return Err("the model was not trained".into());
    }
    Ok(())
}

/// Starts the server, and returns its address.
fn serve(folder: &Path) -> Outcome<(Process, String)> {
    let mut child = botops(folder)
        .args(["serve", "model.botops", "--listen", "127.0.0.1:0", "--no-request-log"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().ok_or("no standard error")?);
    let server = Process(child);
    let mut said = String::new();
    let address = loop {
        if stderr.read_line(&mut said)? == 0 {
            return Err(format!("the server ended: {said}").into());
        }
        if let Some((_, address)) = said.split_once(" on http://")
            && address.contains('\n')
        {
            let address = address.split_whitespace().next().ok_or("no address")?;
            break format!("http://{address}");
        }
    };
    thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    Ok((server, address))
}
