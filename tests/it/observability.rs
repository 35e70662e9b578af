//! Alerts, dashboards and their runbooks, checked by Prometheus and Alertmanager themselves.
//!
//! A real Prometheus scrapes a real server under load: every panel of every dashboard shows data, and alerts reach a receiver
//! through a real Alertmanager. `BOTOPS_PROMETHEUS`, `BOTOPS_PROMTOOL`, `BOTOPS_ALERTMANAGER` and `BOTOPS_AMTOOL` name the
//! programs; without them, those on the PATH are used.

mod documents;
mod endpoints;
mod live;
mod served;
mod watchers;

use crate::support::{report_skip, repository, tool};
use std::{
    path::PathBuf,
    process::{Command, Output},
};

/// The programs of Prometheus and Alertmanager.
struct Tools {
    prometheus: PathBuf,
    promtool: PathBuf,
    alertmanager: PathBuf,
    amtool: PathBuf,
}

impl Tools {
    /// Finds them; `None`, with a message, if one is missing.
    fn find(test: &str) -> Option<Self> {
        let of = |variable: &str, name: &str| {
            let found = tool(variable, name);
            if found.is_none() {
                report_skip(test, name);
            }
            found
        };
        Some(Self {
            prometheus: of("BOTOPS_PROMETHEUS", "prometheus")?,
            promtool: of("BOTOPS_PROMTOOL", "promtool")?,
            // Debian calls it by its project, because `alertmanager` is taken.
            alertmanager: tool("BOTOPS_ALERTMANAGER", "alertmanager")
                .or_else(|| of("BOTOPS_ALERTMANAGER", "prometheus-alertmanager"))?,
            amtool: of("BOTOPS_AMTOOL", "amtool")?,
        })
    }
}

fn checked(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}\n{text}");
    text
}

#[test]
fn promtool_and_amtool_accept_the_files_and_every_alert_fires_when_it_should() {
    let Some(tools) = Tools::find("the checks of alerts") else { return };
    let folder = repository().join("deploy/prometheus");
    let promtool = |arguments: &[&str]| {
        checked(Command::new(&tools.promtool).args(arguments).current_dir(&folder))
    };
    promtool(&["check", "rules", "alerts.yaml", "recording.yaml"]);
    promtool(&["check", "config", "--syntax-only", "prometheus.yaml"]);
    let tests: Vec<String> = documents::files("deploy/prometheus/tests")
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let arguments: Vec<&str> =
        ["test", "rules"].into_iter().chain(tests.iter().map(String::as_str)).collect();
    let said = promtool(&arguments);
    assert_eq!(said.matches("SUCCESS").count(), tests.len(), "{said}");
    let routes = "deploy/alertmanager/alertmanager.yaml";
    let amtool = |arguments: &[&str]| {
        checked(Command::new(&tools.amtool).args(arguments).current_dir(repository()))
    };
    amtool(&["check-config", routes]);
    for (severity, receiver) in [("page", "on-call"), ("ticket", "tickets")] {
        let severity = format!("severity={severity}");
        let found = amtool(&["config", "routes", "test", "--config.file", routes, &severity]);
        // Debian's amtool adds a warning about its own defaults.
        assert_eq!(found.lines().next(), Some(receiver), "{found}");
    }
}
