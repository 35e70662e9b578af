//! A small bot in two languages, as a model file and as a `botops serve` in its own process.

use crate::support::Folder;
use botops_dialogue::DialogueSpec;
use botops_models::{ModelSpec, Sample, Silent, TrainingInput, train};
use botops_spec::Spec as _;
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
    sync::LazyLock,
};

/// The answers of the bot. It repeats the name of whoever greets it, whatever that is; a return needs an order and a yes.
const DIALOGUE: &str = r"
entities: {name: 'name is (.+)', order: '#\d{4}'}
default_language: en
slots:
  order: {ask: {en: 'Which order?', fr: 'Quelle commande ?'}, tries: 2}
intents:
  return:
    needs: [order]
    confirm: {en: 'Return {order}?', fr: 'Retourner {order} ?'}
    declined: {en: 'Not returned.', fr: 'Pas de retour.'}
    action: {url: 'https://shop.example/returns/{order}', failed: {en: 'Not now.', fr: 'Pas maintenant.'}}
responses:
  return: {en: '{order} comes back.', fr: '{order} revient.'}
  greet: {en: 'Hello {name|you}!', fr: 'Bonjour {name|vous} !'}
  parcel: {en: Your parcel is on its way., fr: Votre colis est en route.}
fallback: {en: Sorry?, fr: Pardon ?}
";

const TEXTS: [(&str, &[&str]); 3] = [
    (
        "return",
        &[
            "return an order",
            "send the order back",
            "i want to return it",
            "return my shoes",
            "give the order back",
            "retourner une commande",
            "renvoyer la commande",
            "je veux la retourner",
            "retourner mes chaussures",
            "rendre la commande",
        ],
    ),
    (
        "greet",
        &[
            "hello my name is ann",
            "good morning my name is bob",
            "hello there",
            "good evening",
            "hello good day",
            "bonjour je m'appelle zoé",
            "bonjour à vous",
            "bonsoir à tous",
            "bonjour bonsoir",
            "salut bonjour",
        ],
    ),
    (
        "parcel",
        &[
            "where is my parcel",
            "when does the parcel arrive",
            "track my parcel",
            "the parcel is late",
            "my parcel was not delivered",
            "où est mon colis",
            "quand arrive le colis",
            "suivre mon colis",
            "le colis est en retard",
            "mon colis n'est pas livré",
        ],
    ),
];

static MODEL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let samples: Vec<Sample<'_>> = TEXTS
        .iter()
        .flat_map(|(intent, texts)| texts.iter().map(|text| Sample { text, intent }))
        .collect();
    let dialogue: DialogueSpec = botops_spec::parse(DIALOGUE, "dialogue.yaml").unwrap();
    let spec = ModelSpec { goldens: 4, ..ModelSpec::default() }.check().unwrap();
    let input = TrainingInput { dialogue, ..TrainingInput::new(&samples, &spec) };
    train(input, &Silent).unwrap().to_bytes()
});

/// The settings that the bot needs: its action may be called. Nobody answers there.
const SETTINGS: &str = "server: {actions: {allow: [shop.example]}}\n";

/// Returns a folder with the bot as `bot.botops`.
pub(crate) fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("bot.botops", &*MODEL).write("botops.yaml", SETTINGS);
    folder
}

/// The bot, served by its own process. Killed when dropped.
pub(crate) struct Served {
    process: Child,
    /// Its address, such as `http://127.0.0.1:8080`.
    pub(crate) url: String,
    folder: Option<Folder>,
}

impl Served {
    /// Serves the bot on a free port, with these further arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(folder(), "127.0.0.1:0", arguments)
    }

    /// Serves the bot of `folder` at an address.
    pub(crate) fn start_in(folder: Folder, address: &str, arguments: &[&str]) -> Self {
        let fixed = ["serve", "bot.botops", "--listen", address, "--admin-listen", "127.0.0.1:0"];
        let mut command = folder.botops(fixed.iter().chain(arguments).copied());
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}")).unwrap();
            if let Some(url) = line.strip_prefix("serving bot.botops on ") {
                break url.to_owned();
            }
            said += &line;
        };
        // The server continues to write. Without a reader, a full pipe would block it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, url, folder: Some(folder) }
    }

    /// Returns its address without the scheme.
    pub(crate) fn address(&self) -> String {
        self.url.strip_prefix("http://").unwrap().to_owned()
    }

    /// Kills it, and returns its folder, with the conversations that it stored.
    pub(crate) fn kill(mut self) -> Folder {
        self.end();
        self.folder.take().unwrap()
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}
