//! The house: which module may use which, who alone holds which crate, and what stays out of where.

/// One module of `src/`, and what it may use of the others.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    /// Modules (`store`), or single items of modules (`workspace::Secret`).
    pub(crate) may_use: &'static [&'static str],
}

/// Small, pure, and without a view of the rest. `findings` is the one that everybody names: errors are made of it.
pub(crate) const LEAVES: [&str; 6] = ["labels", "text", "digest", "stats", "spec", "findings"];

const fn room(name: &'static str, may_use: &'static [&'static str]) -> Room {
    Room { name, may_use }
}

/// The table of the house, in the order of the house: lower rooms first.
pub(crate) const HOUSE: [Room; 20] = [
    room("findings", &[]),
    room("labels", &["findings"]),
    room("text", &[]),
    room("digest", &["findings"]),
    room("stats", &["findings"]),
    // `text` uses nothing, and its way to show a value serves every message.
    room("spec", &["text", "findings"]),
    room("store", &["digest", "findings"]),
    room("workspace", &["text", "spec", "findings", "store"]),
    room("datasets", &["labels", "text", "digest", "stats", "spec", "findings", "store"]),
    // Not datasets: at serving time text comes from a request.
    room("features", &["text", "digest", "stats", "findings"]),
    room("dialogue", &["labels", "text", "spec", "findings"]),
    room("drift", &["labels", "text", "stats", "findings"]),
    // Decisions are told in words, and `text` has the way to write a count.
    room("rollout", &["text", "stats", "digest", "spec", "findings"]),
    room(
        "models",
        &["labels", "text", "digest", "stats", "spec", "findings", "features", "dialogue"],
    ),
    room(
        "evaluation",
        &[
            "labels", "text", "digest", "stats", "spec", "findings", "datasets", "features",
            "models",
        ],
    ),
    // Of workspace, only the secret that a tracking server wants: it is not to be printed.
    room(
        "experiments",
        &[
            "labels",
            "text",
            "digest",
            "stats",
            "spec",
            "findings",
            "store",
            "workspace::Secret",
            "evaluation",
        ],
    ),
    room(
        "registry",
        &["labels", "text", "digest", "stats", "spec", "findings", "store", "evaluation", "models"],
    ),
    // Results, and the leaves that word and draw them: of datasets, only what was checked, found and profiled.
    room(
        "report",
        &[
            "labels",
            "text",
            "stats",
            "findings",
            "datasets::Check",
            "datasets::Validation",
            "datasets::Balance",
            "datasets::ColumnProfile",
            "datasets::IntentProfile",
            "datasets::LengthBin",
            "datasets::Lengths",
            "datasets::Profile",
            "datasets::ProfileChange",
            "datasets::TextProfile",
            "datasets::UNTOLD",
            "models::confidence",
            "evaluation",
            "drift",
            "rollout",
        ],
    ),
    // Everything offline. A rehearsal's server is handed in through a trait.
    room(
        "pipelines",
        &[
            "labels",
            "text",
            "digest",
            "stats",
            "spec",
            "findings",
            "store",
            "workspace",
            "datasets",
            "features",
            "dialogue",
            "drift",
            "rollout",
            "models",
            "evaluation",
            "experiments",
            "registry",
            "report",
        ],
    ),
    // Of workspace, only the reference to a secret: the admin token is not to be printed.
    room(
        "serving",
        &[
            "labels",
            "text",
            "digest",
            "stats",
            "spec",
            "findings",
            "store",
            "dialogue",
            "drift",
            "rollout",
            "models",
            "registry",
            "report",
            "workspace::Secret",
        ],
    ),
];

/// The top: it may use every room, and nobody uses it.
pub(crate) const TOP: &str = "cli";

/// Pairs that no change of the table may allow, with the reason that an error tells.
pub(crate) const NEVER: [(&str, &str, &str); 11] = [
    ("features", "datasets", "at serving time text comes from a request"),
    ("rollout", "store", "decisions are pure"),
    ("serving", "datasets", "online and offline meet only in the registry"),
    ("serving", "evaluation", "online and offline meet only in the registry"),
    ("serving", "experiments", "online and offline meet only in the registry"),
    ("serving", "pipelines", "online and offline meet only in the registry"),
    ("models", "evaluation", "a model does not judge itself"),
    ("drift", "models", "drift compares plain rows"),
    ("drift", "datasets", "drift compares plain rows"),
    ("pipelines", "serving", "online and offline meet only in the registry"),
    ("registry", "serving", "online and offline meet only in the registry"),
];

/// External crates, as code names them, and the only modules that may.
pub(crate) const OWNERS: [(&str, &[&str]); 44] = [
    ("sha2", &["digest"]),
    ("rand", &["stats"]),
    ("rand_core", &["stats"]),
    ("rand_xoshiro", &["stats"]),
    ("statrs", &["stats"]),
    // `features` has the forms of another vectoriser, whose values it reproduces.
    ("unicode_normalization", &["text", "labels", "features"]),
    ("unicode_segmentation", &["text", "labels"]),
    ("serde_yaml", &["spec"]),
    ("serde_saphyr", &[]),
    ("object_store", &["store"]),
    ("polars", &["datasets"]),
    ("csv", &["datasets"]),
    ("foldhash", &["datasets"]),
    ("memchr", &["datasets"]),
    ("fastcdc", &["datasets"]),
    ("flate2", &["datasets"]),
    ("zstd", &["datasets"]),
    ("glob", &["datasets"]),
    ("tokenizers", &["features"]),
    ("pulp", &["features"]),
    ("smartcore", &["models"]),
    ("linfa", &["models"]),
    ("linfa_logistic", &["models"]),
    ("candle_core", &["models", "features"]),
    ("candle_nn", &["models", "features"]),
    ("safetensors", &["models", "features"]),
    ("axum", &["serving"]),
    ("tower", &["serving"]),
    ("tower_http", &["serving"]),
    ("prometheus_client", &["serving"]),
    // The admin API's client and the rehearsal; the download of encoders; exports of runs.
    ("reqwest", &["serving", "features", "experiments"]),
    // Whoever opens connections says once which cryptography they use.
    ("rustls", &["store", "serving", "features", "experiments", "cli"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("anyhow", &["cli"]),
    ("anstream", &["cli"]),
    ("indicatif", &["cli"]),
    ("tabled", &["cli"]),
    // Declared for their features alone: see `Cargo.toml`. (So is `digest`, which our own module outshines.)
    ("hyper_util", &[]),
    ("md5", &[]),
    ("rustix", &[]),
    ("subtle", &[]),
    ("tracing_subscriber", &["cli", "serving"]),
];

/// What computes and decides, and so neither waits, nor looks at the clock, nor at the environment.
pub(crate) const PURE: [&str; 12] = [
    "labels",
    "text",
    "digest",
    "stats",
    "spec",
    "findings",
    "drift",
    "rollout",
    "dialogue",
    "features",
    "evaluation",
    "models",
];

/// What of a pure room waits all the same, being how something gets into it: the download of encoders.
pub(crate) const WAITING: [&str; 1] = ["features/hub/"];

/// The edge: what is read from the clock and the environment is read here and passed in.
pub(crate) const EDGE: [&str; 2] = ["cli", "serving"];

/// Names that say nothing of what is inside.
pub(crate) const EMPTY_NAMES: [&str; 12] = [
    "utils", "util", "common", "helpers", "helper", "core", "types", "manager", "managers", "misc",
    "base", "shared",
];
