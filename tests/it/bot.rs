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

/// What the bot answers. It repeats the name of whoever greets it, whatever that is.
const DIALOGUE: &str = r"
entities: {name: 'name is (.+)'}
default_language: en
responses:
  greet: {en: 'Hello {name|you}!', fr: 'Bonjour {name|vous} !'}
  parcel: {en: Your parcel is on its way., fr: Votre colis est en route.}
fallback: {en: Sorry?, fr: Pardon ?}
";

const TEXTS: [(&str, &[&str]); 2] = [
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

/// Returns a folder with the bot as `bot.botops`.
pub(crate) fn folder() -> Folder {
    let folder = Folder::empty();
    folder.write("bot.botops", &*MODEL);
    folder
}

/// The bot, served by its own process. Killed when dropped.
pub(crate) struct Served {
    process: Child,
    /// Its address, such as `http://127.0.0.1:8080`.
    pub(crate) url: String,
    _folder: Folder,
}

impl Served {
    /// Serves the bot on a free port, with these further arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = folder();
        let fixed =
            ["serve", "bot.botops", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
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
        Self { process, url, _folder: folder }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
