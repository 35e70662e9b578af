//! The summary of a run on the page of a CI job: GitHub shows nothing of a summary of more than 1 MiB.

use crate::terminal::{Terminal, two_intents};
use std::fs;

const LIMIT: u64 = 1 << 20;

#[test]
fn a_job_summary_stays_below_the_limit_of_github_and_says_that_it_is_cut() {
    let terminal = Terminal::new();
    terminal.write("data.csv", two_intents(10)).write(
        "p.yaml",
        "version: 1\nname: p\nstages:\n- validate: { data: data.csv }\n\
         - shell: { name: report, run: \"yes '| a | row | of | a | table |' | head -n 200000 > $BOTOPS_OUTPUT/report.md\", after: [validate] }\n",
    );
    let path = terminal.path().join("summary.md");
    let mut last = 0;
    for run in 0..3 {
        let output =
            terminal.command("run p.yaml").env("GITHUB_STEP_SUMMARY", &path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("the summary of this step is cut"), "run {run}: {said}");
        let size = fs::metadata(&path).unwrap().len();
        assert!(size < LIMIT && size >= last, "run {run}: {size} bytes");
        last = size;
    }
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("## botops: p\n"), "the stages come first");
    assert!(text.contains("| validate | passed |"));
    assert_eq!(text.matches("**The summary is cut here**").count(), 1);
    let output = terminal.command("run p.yaml --format markdown").output().unwrap();
    assert!((output.stdout.len() as u64) < LIMIT, "{}", output.stdout.len());
}
