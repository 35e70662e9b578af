//! The README and the guides under docs/ are correct: every command that they show runs, in order, and prints the
//! output that they show.
//!
//! The commands run in a temporary copy of the files of the repository, with the built program on the PATH. Each
//! fenced block is one shell. `cargo run --release -- X` is that program with X. The test command itself is left out,
//! because it would run this test. A command that ends in `&` is a server: the next command waits for its first line.
//! A command may fail only if the next one reads `$?`.

mod page;

use crate::support::{clean, copy_repository, print_past_harness, program, repository, terminal};
use page::{Block, Step, blocks, compare};
use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Runs one block in `folder` and returns every step with its exit code and its output.
fn run<'a>(block: &'a Block, folder: &Path) -> Vec<(&'a Step, Option<i32>, String)> {
    let background = tempfile::tempdir().unwrap();
    let mut script = String::from(
        "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT\n\
         cargo() { if [ \"$1 $2\" = 'run --release' ]; then shift 2; [ \"$1\" = -- ] && shift; botops \"$@\"; \
         else command cargo \"$@\"; fi; }\n",
    );
    let steps: Vec<&Step> = block.steps.iter().filter(|step| !step.is_the_test_command()).collect();
    for (index, step) in steps.iter().enumerate() {
        match step.command.strip_suffix('&').filter(|rest| !rest.ends_with('&')) {
            Some(server) => {
                let printed = background.path().join(index.to_string());
                let printed = printed.display();
                writeln!(
                    script,
                    "{server} >'{printed}' 2>&1 &\n\
                     for _ in $(seq 300); do [ -s '{printed}' ] && break; sleep 0.1; done; sleep 0.3; cat '{printed}'"
                )
                .unwrap();
            }
            None => writeln!(script, "{}", step.command).unwrap(),
        }
        // The mark ends the step and leaves `$?` to the next one.
        writeln!(script, "__code=$?; printf '\\n\\036%d\\n' $__code; (exit $__code)").unwrap();
    }
    let mut paths = vec![program().parent().unwrap().to_owned()];
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new("bash");
    clean(&mut command, folder).args(["--noprofile", "--norc", "-c", &script]).current_dir(folder);
    command.env("PATH", env::join_paths(paths).unwrap());
    let (_, mut text) = terminal(&mut command, Duration::from_secs(900));
    let mut results = Vec::new();
    for step in steps {
        let (printed, rest) = text.split_once("\n\u{1e}").unwrap_or((&text, ""));
        let (code, rest) = rest.split_once('\n').unwrap_or((rest, ""));
        results.push((step, code.parse().ok(), printed.to_owned()));
        text = rest.to_owned();
    }
    results
}

/// Returns the mismatches of `page` with the output of its commands, which run in `folder`.
fn mismatches(page: &str, folder: &Path) -> Vec<String> {
    let blocks = match blocks(page) {
        Ok(blocks) => blocks,
        Err(escaped) => return vec![escaped],
    };
    let mut found = Vec::new();
    for block in &blocks {
        let results = run(block, folder);
        for (index, (step, code, printed)) in results.iter().enumerate() {
            let Step { line, command, shown } = step;
            let looked_at =
                results.get(index + 1).is_some_and(|(next, ..)| next.command.contains("$?"));
            let verdict = match code {
                Some(0) => Ok(()),
                Some(_) if looked_at => Ok(()),
                Some(code) => Err(format!("it ends with {code}")),
                None => Err("it did not end".to_owned()),
            };
            let verdict = verdict.and_then(|()| {
                if shown.is_empty() { Ok(()) } else { compare(shown, printed, folder) }
            });
            if let Err(why) = verdict {
                found.push(format!(
                    "line {line}: `{command}`: {why}\n----- printed -----\n{}\n",
                    printed.trim_end()
                ));
            }
        }
    }
    found
}

/// Runs every command of the page `name`, in its own copy of the repository.
fn check_page(name: &str) {
    let page = fs::read_to_string(repository().join(name)).unwrap();
    for step in blocks(&page).into_iter().flatten().flat_map(|block| block.steps) {
        if step.is_the_test_command() {
            print_past_harness(&format!(
                "left out: {name}:{}: `{}`: the test command itself",
                step.line, step.command
            ));
        }
    }
    let copy = tempfile::tempdir().unwrap();
    copy_repository(copy.path(), |_| true);
    let found = mismatches(&page, copy.path());
    assert!(found.is_empty(), "{name} is not true:\n{}", found.join("\n"));
}

#[test]
fn every_command_of_the_readme_runs_and_prints_what_it_shows() {
    check_page("README.md");
}

/// Returns the pages in `folder`, with or without those in folders below it, in the order of their names.
fn pages(folder: &str, below: bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(repository().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            found.extend(below.then(|| pages(&name, below)).into_iter().flatten());
        } else if name.ends_with(".md") {
            found.push(name);
        }
    }
    found.sort();
    assert!(!found.is_empty(), "there is a page in {folder}");
    found
}

#[test]
fn every_command_of_the_guides_runs_and_prints_what_it_shows() {
    for guide in pages("docs", false) {
        check_page(&guide);
    }
}

#[test]
fn every_command_for_operators_runs_and_prints_what_it_shows() {
    for guide in pages("docs/operations", true) {
        check_page(&guide);
    }
}

#[test]
fn every_command_of_the_page_about_stores_runs() {
    check_page("docs/operations/storage.md");
}

const SAMPLE: &str = r#"
# sample

```console
$ printf 'accuracy 0.912   in 1.2 s\n840 records\n'
accuracy 0.914 in 7 ms
840 records
$ false
$ echo "exit $?"
exit 1
$ seq 9
1
...
8
9
$ (echo listening; sleep 60) &
listening
$ cat <<'END' \
>   | tr a-z A-Z
one
END
ONE
```

```yaml
not: a command
```

```sh
# A comment
cargo test --release
cd "$HOME" && \
  touch made
```
"#;

#[test]
fn a_page_is_read_as_commands_and_their_output() {
    let blocks = blocks(SAMPLE).unwrap();
    let commands: Vec<Vec<(usize, &str, usize)>> = blocks
        .iter()
        .map(|block| {
            block
                .steps
                .iter()
                .map(|step| (step.line, step.command.as_str(), step.shown.len()))
                .collect()
        })
        .collect();
    assert_eq!(
        commands,
        [
            vec![
                (5, "printf 'accuracy 0.912   in 1.2 s\\n840 records\\n'", 2),
                (8, "false", 0),
                (9, "echo \"exit $?\"", 1),
                (11, "seq 9", 4),
                (16, "(echo listening; sleep 60) &", 1),
                (18, "cat <<'END' \\\n  | tr a-z A-Z\none\nEND", 1),
            ],
            vec![(31, "cargo test --release", 0), (32, "cd \"$HOME\" && \\\n  touch made", 0)],
        ]
    );
}

#[test]
fn a_correct_page_passes_and_its_servers_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(mismatches(SAMPLE, folder.path()), Vec::<String>::new());
    assert!(folder.path().join("made").is_file());
}

#[test]
fn every_kind_of_mismatch_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for (from, to) in [
        ("accuracy 0.914", "accuracy 0.938"),
        ("accuracy 0.914", "accurate 0.914"),
        ("\n840 records\n$", "\n841 records\n$"),
        ("\n840 records\n$", "\n$"),
        ("exit 1\n", "exit 2\n"),
        ("...\n8\n9\n", "...\n8\n"),
        ("1\n...\n", "...\n2\n1\n...\n"),
        ("$ echo \"exit $?\"\nexit 1\n", ""),
        ("ONE\n", "one\n"),
        ("```sh\n", "```bash\n"),
        ("# sample\n", "    botops serve\n"),
    ] {
        assert!(SAMPLE.contains(from), "{from}");
        assert_eq!(
            mismatches(&SAMPLE.replacen(from, to, 1), folder.path()).len(),
            1,
            "{from:?} -> {to:?}"
        );
    }
}

#[test]
fn the_program_is_on_the_path_and_stands_in_for_cargo_run() {
    let folder = tempfile::tempdir().unwrap();
    let page = "```console\n$ botops --version\nbotops 0.1.0\n$ cargo run --release -- --version\nbotops 0.1.0\n```\n";
    assert_eq!(mismatches(page, folder.path()), Vec::<String>::new());
    assert_eq!(PathBuf::from("botops"), program().with_extension("").file_name().unwrap());
}
