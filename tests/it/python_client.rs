//! The Python client of `clients/python`: its own tests against a running server, and its types.

use crate::{
    bot::Served,
    servers::skip,
    support::{repository, tool},
};
use std::process::Command;

/// Returns a Python that has `module`; `None`, with a message, if there is none.
pub(crate) fn python_with(module: &str) -> Option<Command> {
    let python = tool("BOTOPS_PYTHON", "python3");
    let has_module = |python: &std::path::PathBuf| {
        let output = Command::new(python).args(["-c", &format!("import {module}")]).output();
        output.is_ok_and(|output| output.status.success())
    };
    let Some(python) = python.filter(has_module) else {
        skip(&format!("a Python with {module} (pip install {module}; BOTOPS_PYTHON names it)"));
        return None;
    };
    let mut command = Command::new(python);
    let folder = repository().join("clients/python");
    command
        .env("PYTHONPATH", folder.join("src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder);
    Some(command)
}

#[test]
fn the_python_client_talks_to_a_server() {
    let Some(mut python) = python_with("httpx") else { return };
    let server = Served::start(&[]);
    let output = python
        .args(["-W", "error", "-m", "unittest", "discover", "-s", "tests", "-v"])
        .env("BOTOPS_URL", &server.url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.ends_with("\nOK\n"), "none is skipped: {said}");
    for test in ["test_a_conversation", "test_predictions_and_a_table", "test_many_conversations"] {
        assert!(said.contains(test), "{said}");
    }
}

#[test]
fn the_types_of_the_python_client_are_complete() {
    let Some(mut python) = python_with("mypy") else { return };
    let cache = tempfile::tempdir().unwrap();
    let output = python.args(["-m", "mypy", "--cache-dir"]).arg(cache.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("no issues found"), "{said}");
}
