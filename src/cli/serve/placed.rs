//! Faults of settings, with the place at which the setting is written.

use botops_findings::{Fault, Place};
use botops_workspace::{Origin, Setting, Workspace};

/// Adds the place of `key` to a fault of its value. A fault that has a place keeps it.
pub(crate) fn placed<T>(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<T>,
    fault: Fault,
) -> Fault {
    if *fault.place() != Place::default() {
        return fault;
    }
    let fault = match &setting.origin {
        Origin::Environment(name) => fault.hint(format!("the value is that of `{name}`")),
        Origin::Flag(name) => fault.hint(format!("the value is that of `{name}`")),
        Origin::Default | Origin::File(_) | Origin::Profile(_) => fault,
    };
    fault.at(workspace.place(key, setting))
}

/// As [`placed`], with the key and the origin in the message.
pub(super) fn named<T>(
    workspace: &Workspace,
    key: &str,
    setting: &Setting<T>,
    fault: &Fault,
) -> Fault {
    let message = format!("`{key}` ({}): {}", setting.origin, fault.message());
    let outer = Fault::new(fault.kind(), fault.code(), message);
    let outer = fault.hints().iter().fold(outer, |outer, hint| outer.hint(hint));
    outer.at(workspace.place(key, setting))
}
