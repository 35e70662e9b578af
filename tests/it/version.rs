//! `botops --version`: the shortest answer, the same anywhere.

use crate::support::{Folder, botops_snapshot};

#[test]
fn the_version_is_told_in_any_folder_even_one_with_broken_settings() {
    let folder = Folder::empty();
    folder.write("botops.yaml", "version: [");
    botops_snapshot!(folder.botops(["--version"]), @"
    exit: 0
    ----- stdout -----
    botops 0.1.0
    ----- stderr -----
    ");
}
