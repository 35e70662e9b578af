//! The house: the floor of each room, the owners of crates, and the rules that a manifest cannot hold.

/// One room: a crate `botops-<name>` under `crates/`, or the command line in `src/`.
pub(crate) struct Room {
    pub(crate) name: &'static str,
    pub(crate) floor: u8,
}

const fn room(floor: u8, name: &'static str) -> Room {
    Room { name, floor }
}

/// Every room. A room imports rooms on lower floors, and on its own floor only the pairs of [`BESIDE`].
pub(crate) const HOUSE: [Room; 47] = [
    room(1, "findings"),
    room(1, "labels"),
    room(1, "text"),
    room(1, "digest"),
    room(1, "stats"),
    room(1, "spec"),
    room(1, "files"),
    room(1, "http"),
    room(2, "store"),
    room(2, "workspace"),
    room(2, "datasets"),
    room(2, "features"),
    room(2, "dialogue"),
    room(2, "drift"),
    room(2, "rollout"),
    room(2, "console"),
    room(2, "documents"),
    room(3, "access"),
    room(3, "conversations"),
    room(3, "snapshots"),
    room(3, "splits"),
    room(3, "expectations"),
    room(3, "models"),
    room(3, "predictions"),
    room(3, "telemetry"),
    room(3, "load"),
    room(3, "generation"),
    room(3, "jobs"),
    room(3, "knowledge"),
    room(4, "observation"),
    room(4, "profile"),
    room(4, "evaluation"),
    room(5, "validation"),
    room(5, "curation"),
    room(5, "experiments"),
    room(5, "registry"),
    room(5, "monitoring"),
    room(5, "starter"),
    room(6, "backup"),
    room(6, "repair"),
    room(6, "report"),
    room(6, "connections"),
    room(7, "pipelines"),
    room(7, "channels"),
    room(7, "serving"),
    room(8, "tuning"),
    room(9, TOP),
];

/// Imports between rooms of one floor.
pub(crate) const BESIDE: [(&str, &str); 7] = [
    ("labels", "findings"),
    ("spec", "findings"),
    ("files", "findings"),
    ("http", "findings"),
    ("http", "digest"),
    ("spec", "text"),
    ("serving", "channels"),
];

/// The top: it may use every room, and no room uses it.
pub(crate) const TOP: &str = "cli";

/// The largest share of all lines that one room may hold.
pub(crate) const LARGEST_SHARE: f64 = 0.15;

/// Imports that no change of the floors may allow, each with its reason.
pub(crate) const NEVER: [(&str, &str, &str); 13] = [
    ("features", "datasets", "at serving time text comes from a request"),
    ("rollout", "store", "decisions are pure"),
    ("drift", "store", "drift compares plain rows"),
    ("dialogue", "store", "dialogue is pure"),
    ("serving", "datasets", "training and serving meet only in the registry"),
    ("serving", "evaluation", "training and serving meet only in the registry"),
    ("serving", "experiments", "training and serving meet only in the registry"),
    ("serving", "pipelines", "training and serving meet only in the registry"),
    ("models", "evaluation", "a model does not judge itself"),
    ("drift", "models", "drift compares plain rows"),
    ("drift", "datasets", "drift compares plain rows"),
    ("pipelines", "serving", "training and serving meet only in the registry"),
    ("registry", "serving", "training and serving meet only in the registry"),
];

/// Crates from outside, and the only rooms whose manifests may name them.
pub(crate) const OWNERS: [(&str, &[&str]); 60] = [
    ("age", &["backup"]),
    ("html5ever", &["documents"]),
    ("pdf-extract", &["documents"]),
    ("pulldown-cmark", &["documents"]),
    ("quick-xml", &["documents"]),
    ("zip", &["documents"]),
    ("rust-stemmers", &["knowledge"]),
    ("multer", &["serving"]),
    ("sha2", &["digest"]),
    ("rand_xoshiro", &["stats"]),
    ("statrs", &["stats"]),
    // `features` reproduces the normal forms of scikit-learn's vectorizer.
    ("unicode-normalization", &["text", "labels", "features"]),
    ("lingua", &["text"]),
    ("whichlang", &["text"]),
    ("serde_yaml", &["spec"]),
    ("strsim", &["spec"]),
    ("object_store", &["store"]),
    ("rust-ini", &["store"]),
    ("polars", &["datasets", "predictions"]),
    ("csv", &["datasets", "documents", "validation", "repair"]),
    ("foldhash", &["datasets", "validation"]),
    ("memchr", &["datasets"]),
    ("fastcdc", &["backup", "snapshots"]),
    ("flate2", &["datasets", "serving"]),
    ("zstd", &["backup", "datasets", "knowledge", "predictions", "snapshots"]),
    ("glob", &["datasets"]),
    ("quick-junit", &["report"]),
    ("tokenizers", &["features"]),
    ("pulp", &["features", "knowledge"]),
    ("smartcore", &["models"]),
    ("linfa", &["models"]),
    ("linfa-logistic", &["models"]),
    ("candle-core", &["models", "features"]),
    ("candle-nn", &["models", "features"]),
    ("safetensors", &["knowledge", "models", "features"]),
    ("axum", &["connections", "serving"]),
    ("tower-http", &["serving"]),
    ("prometheus-client", &["connections", "serving", "telemetry"]),
    ("reqwest", &["http"]),
    ("ring", &["access", "conversations"]),
    ("base64", &["access", "backup", "console", "conversations", "http", "rollout", "serving"]),
    ("rustls", &["connections", "http"]),
    ("rustls-platform-verifier", &["http"]),
    ("tokio-rustls", &["connections", "http"]),
    ("tokio-tungstenite", &["connections", "load", "serving"]),
    ("hyper", &["connections", "serving"]),
    ("hyper-util", &["connections", "serving", TOP]),
    ("hdrhistogram", &["load"]),
    ("rustix", &["connections", "monitoring", "serving", TOP]),
    ("clap", &[TOP]),
    ("clap_complete", &[TOP]),
    ("clap_mangen", &[TOP]),
    ("anyhow", &[TOP]),
    ("anstream", &[TOP]),
    ("indicatif", &[TOP]),
    ("tabled", &[TOP]),
    ("tracing-subscriber", &[TOP, "serving"]),
    ("sqlx", &["conversations"]),
    ("redis", &["conversations"]),
    // The schemas of the types that the HTTP APIs read and write.
    (
        "utoipa",
        &[
            "access",
            "dialogue",
            "digest",
            "jobs",
            "knowledge",
            "observation",
            "registry",
            "rollout",
            "serving",
            "store",
        ],
    ),
];

/// Rooms that compute and decide: they neither wait nor read the clock or the environment.
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

/// Parts of pure rooms that wait all the same: the download of encoders.
pub(crate) const WAITING: [&str; 1] = ["crates/features/src/hub/"];

/// The edge: the clock and the environment are read here and passed in.
pub(crate) const EDGE: [&str; 2] = [TOP, "serving"];

/// The room that writes the outputs that a user names, also to standard output.
pub(crate) const OUTPUTS: &str = "files";

/// Module names that say nothing of the content.
pub(crate) const EMPTY_NAMES: [&str; 12] = [
    "utils", "util", "common", "helpers", "helper", "core", "types", "manager", "managers", "misc",
    "base", "shared",
];
