//! `docs/reference/` is generated from the code: verbs and flags, keys of every file, codes, HTTP paths.
//!
//! The pages are compared with what is generated now. `BOTOPS_BLESS=1` writes them instead.

mod http;
mod keys;
mod rust_types;

use crate::support::repository;
use botops_findings::catalogue;
use keys::Page;
use rust_types::Types;
use std::{fmt::Write as _, fs};

const NOTE: &str =
    "<!-- Generated from the code by `just bless`: edit the doc comments there. -->\n\n";

/// Compares `docs/reference/<name>` with `text`, or writes it.
fn check(name: &str, text: &str) {
    let path = repository().join("docs/reference").join(name);
    if std::env::var_os("BOTOPS_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    if found == text {
        return;
    }
    let line = found.lines().zip(text.lines()).position(|(a, b)| a != b);
    let line = line.unwrap_or(found.lines().count().min(text.lines().count()));
    panic!(
        "docs/reference/{name} differs from the code at line {}:\n  page: {}\n  code: {}\nrun `just bless`",
        line + 1,
        found.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)")
    );
}

#[test]
fn the_page_of_commands_is_that_of_the_program() {
    let mut text = format!(
        "# Commands\n\n{NOTE}Every verb and every flag. `botops help VERB` prints the same.\n"
    );
    let command = botops::cli::command();
    text.push_str(
        "\n## Global options\n\n| flag | value | default | meaning |\n|---|---|---|---|\n",
    );
    for argument in command.get_arguments().filter(|argument| argument.is_global_set()) {
        flag(&mut text, argument);
    }
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        section(&mut text, "botops", verb);
    }
    check("commands.md", &text);
}

fn section(text: &mut String, parent: &str, command: &clap::Command) {
    if command.get_name() == "help" {
        return;
    }
    let name = format!("{parent} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## `{name}`\n\n{}\n", keys::cell(&about));
    if let Some(long) =
        command.get_long_about().map(ToString::to_string).filter(|long| *long != about)
    {
        let rest = long.strip_prefix(&about).unwrap_or(&long).trim();
        if !rest.is_empty() {
            let _ = write!(text, "\n```text\n{rest}\n```\n");
        }
    }
    let own = || command.get_arguments().filter(|a| !a.is_hide_set() && !a.is_global_set());
    let positionals: Vec<_> = own().filter(|argument| argument.is_positional()).collect();
    if !positionals.is_empty() {
        text.push_str("\n| argument | required | meaning |\n|---|---|---|\n");
        for argument in positionals {
            let value = values(argument);
            let required = if argument.is_required_set() { "yes" } else { "no" };
            let _ = writeln!(text, "| `{value}` | {required} | {} |", meaning(argument));
        }
    }
    let flags: Vec<_> = own().filter(|a| !a.is_positional() && a.get_id() != "help").collect();
    if !flags.is_empty() {
        text.push_str("\n| flag | value | default | meaning |\n|---|---|---|---|\n");
        for argument in flags {
            flag(text, argument);
        }
    }
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        section(text, &name, verb);
    }
}

fn values(argument: &clap::Arg) -> String {
    let names = argument.get_value_names().unwrap_or_default();
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn meaning(argument: &clap::Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut text = keys::cell(&help.map(ToString::to_string).unwrap_or_default());
    let possible = argument.get_possible_values();
    let takes_value = argument.get_action().takes_values();
    if takes_value && !possible.is_empty() && possible.iter().any(|value| !value.is_hide_set()) {
        let names: Vec<String> =
            possible.iter().map(|value| format!("`{}`", value.get_name())).collect();
        let _ = write!(text, " One of {}.", names.join(", "));
    }
    text
}

fn flag(text: &mut String, argument: &clap::Arg) {
    let long = argument.get_long().map(|long| format!("`--{long}`"));
    let short = argument.get_short().map(|short| format!("`-{short}`"));
    let name = long.into_iter().chain(short).collect::<Vec<_>>().join(", ");
    let takes_value = argument.get_action().takes_values();
    let value = if takes_value { format!("`{}`", values(argument)) } else { String::new() };
    let default: Vec<String> = argument
        .get_default_values()
        .iter()
        .filter(|_| takes_value)
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    let _ = writeln!(text, "| {name} | {value} | {} | {} |", default.join(" "), meaning(argument));
}

#[test]
fn the_page_of_codes_is_that_of_the_catalogue() {
    let mut text = format!(
        "# Exit codes and error codes\n\n{NOTE}`botops explain CODE` prints the same.\n\n## Exit codes\n\n\
         | code | meaning |\n|---|---|\n"
    );
    for (code, meaning) in botops::cli::EXIT_CODES {
        let _ = writeln!(text, "| {code} | {meaning} |");
    }
    text.push_str(
        "\n## Error codes\n\nA code is never reused for another meaning. The exit code is that of a command that ends with \
         the error; codes without one are findings, whose severity decides.\n\n| code | exit | title | explanation |\n\
         |---|---|---|---|\n",
    );
    let mut entries: Vec<_> = catalogue::all().collect();
    entries.sort_by_key(|entry| entry.code);
    for entry in entries {
        let exit = entry.kind.map(|kind| kind.exit_code().to_string()).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {exit} | {} | {} |",
            entry.code,
            keys::cell(entry.title),
            keys::cell(entry.explanation)
        );
    }
    check("codes.md", &text);
}

/// A page of keys: file name, title, introduction, and the type that reads the file (room, name).
type KeyPage = (&'static str, &'static str, &'static str, (&'static str, &'static str));

/// The files that users write.
const FILES: [KeyPage; 8] = [
    (
        "botops-yaml.md",
        "`botops.yaml`",
        "The workspace. A flag wins over `BOTOPS_*` variables, these over a profile, that over the file. `botops doctor` prints \
         each setting with its origin. A secret is a reference: `${env:NAME}` or `${file:/run/secrets/name}`.",
        ("workspace", "WorkspaceSpec"),
    ),
    (
        "pipelines.md",
        "Pipelines",
        "Files under `pipelines/`. Paths start at the folder of `botops.yaml`. Every stage also takes `name` (default: its kind) \
         and `after` (a list of stages that must be done before).",
        ("pipelines", "PipelineSpec"),
    ),
    (
        "expectations.md",
        "`expectations.yaml`",
        "The rules of a data set, beside its data. `botops data infer` writes a first version.",
        ("expectations", "Expectations"),
    ),
    (
        "models.md",
        "Model settings",
        "Given to `botops train --config FILE`, and under `model:` of a train stage.",
        ("models", "ModelSpec"),
    ),
    (
        "gates.md",
        "Gate rules",
        "Given to `botops gate --rules FILE`, and under `rules:` of a gate stage.",
        ("evaluation", "GateSpec"),
    ),
    (
        "policy.md",
        "The policy of an environment",
        "Named by `policy:` of `botops.yaml` or of a profile, by `BOTOPS_POLICY`, or by `--file` of `botops policy`. It is in force once \
         it is recorded in the deployment log: by `botops policy apply`, or by `botops serve`. The gates have the words of the \
         [gate rules](gates.md).",
        ("access", "PolicySpec"),
    ),
    (
        "rollout-plans.md",
        "Rollout plans",
        "Given to `botops promote --plan FILE`, and under `plan:` of a promote stage. Durations are written as `90s`, `10m`, `2h`.",
        ("rollout", "RolloutSpec"),
    ),
    (
        "dialogue.md",
        "`dialogue.yaml`",
        "Entities, responses and the steps of a conversation, put into the model file by `botops train --dialogue FILE`. See \
         `docs/dialogue.md`.",
        ("dialogue", "DialogueSpec"),
    ),
];

#[test]
fn the_pages_of_keys_are_those_of_the_types() {
    let types = Types::read();
    for (name, title, introduction, (room, root)) in FILES {
        let mut page = Page::new(&types, &format!("# {title}\n\n{NOTE}{introduction}\n"));
        page.keys(room, None, root);
        let text = page.finish();
        let undocumented: Vec<&str> = text.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(undocumented.is_empty(), "keys without documentation: {undocumented:#?}");
        check(name, &text);
    }
}

#[test]
fn the_page_of_recorded_traffic_is_that_of_its_type() {
    let types = Types::read();
    let mut page = Page::new(
        &types,
        &format!(
            "# Recorded traffic\n\n{NOTE}One JSON object a line (JSONL), in any order: messages are sorted by `at`. \
             `botops drift`, `botops promote --traffic` and the stages `drift` and `promote` read it. Unknown keys are ignored.\n\n\
             ```json\n{{\"at\":\"2026-11-16T09:12:44Z\",\"conversation_id\":\"c-0001\",\"text\":\"where is my parcel?\",\"truth\":\"order_status\"}}\n```\n"
        ),
    );
    page.keys("datasets", None, "TrafficRecord");
    check("traffic.md", &page.finish());
}

#[test]
fn the_document_of_the_admin_api_is_that_of_its_endpoints() {
    check("admin-openapi.json", botops_serving::admin_openapi());
}

#[test]
fn the_page_of_http_is_that_of_the_routes() {
    check("http.md", &format!("# HTTP\n\n{NOTE}{}", http::page(&Types::read())));
}
