//! `botops --version`: the same answer in every folder.

use crate::support::{Folder, botops_snapshot};

#[test]
fn the_version_is_printed_in_any_folder_even_with_broken_settings() {
    let folder = Folder::empty();
    folder.write("botops.yaml", "version: [");
    botops_snapshot!(folder.botops(["--version"]), @"
    exit: 0
    ----- stdout -----
    botops 0.1.0
    ----- stderr -----
    ");
}
