//! The TypeScript client of `clients/typescript`: it compiles under strict rules, and its own tests pass against a running
//! server.

use crate::{
    bot::Served,
    servers::skip,
    support::{repository, tool},
};
use std::{path::PathBuf, process::Command};

#[test]
fn the_typescript_client_compiles_and_talks_to_a_server() {
    let modules = std::env::var_os("BOTOPS_NODE_MODULES").map(PathBuf::from);
    let compiler = modules.map(|folder| folder.join("typescript/bin/tsc"));
    let (Some(node), Some(compiler)) =
        (tool("BOTOPS_NODE", "node"), compiler.filter(|it| it.is_file()))
    else {
        skip("typescript (npm install typescript; BOTOPS_NODE_MODULES names node_modules)");
        return;
    };
    let folder = repository().join("clients/typescript");
    let dist = tempfile::tempdir().unwrap();
    let output = Command::new(&node)
        .arg(compiler)
        .args(["--project", ".", "--outDir"])
        .arg(dist.path())
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.is_empty(), "{said}");
    // Node.js takes the modules of a folder for scripts unless it says otherwise.
    std::fs::write(dist.path().join("package.json"), "{\"type\": \"module\"}").unwrap();
    let server = Served::start(&[]);
    let output = Command::new(&node)
        // Without the flag, version 20 has no WebSocket; newer ones accept it.
        .args([
            "--experimental-websocket",
            "--no-warnings",
            "--test",
            "--test-reporter=tap",
            "tests/",
        ])
        .env("BOTOPS_URL", &server.url)
        .env("BOTOPS_DIST", dist.path())
        .current_dir(&folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\n# skipped 0\n") && !said.contains("\n# pass 0\n"), "{said}");
}
