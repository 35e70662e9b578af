//! An encoder's folder on the command line: trained on, kept in the model, and refused with the file that is wrong.

use crate::{
    terminal::{Terminal, two_intents},
    tiny_encoder::Tiny,
};
use std::fs;

fn terminal(tiny: &Tiny) -> Terminal {
    let terminal = Terminal::new();
    terminal.write("train.csv", two_intents(30));
    tiny.write(&terminal.path().join("encoder"));
    terminal
}

#[test]
fn a_model_on_embeddings_of_either_family_needs_no_folder_once_it_is_trained() {
    for tiny in [Tiny::bert(), Tiny::distilbert()] {
        let terminal = terminal(&tiny);
        let said = terminal.run("train train.csv --encoder encoder --out m.botops");
        assert!(said.starts_with("exit: 0"), "{said}");
        let first = terminal.stdout("predict m.botops --data train.csv --format json");
        fs::remove_dir_all(terminal.path().join("encoder")).unwrap();
        assert_eq!(terminal.stdout("predict m.botops --data train.csv --format json"), first);
    }
}

#[test]
fn a_folder_without_its_weights_is_said_so() {
    let terminal = terminal(&Tiny::bert());
    fs::remove_file(terminal.path().join("encoder/model.safetensors")).unwrap();
    let said = terminal.run("train train.csv --encoder encoder --out m.botops");
    assert!(said.starts_with("exit: 2"), "{said}");
    assert!(said.contains("the encoder's folder has no `model.safetensors`"), "{said}");
    assert!(!terminal.path().join("m.botops").exists());
}
