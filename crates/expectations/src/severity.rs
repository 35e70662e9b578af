//! The severity that each check has unless the expectations set another.

use botops_findings::Severity;

/// How much each check matters unless the expectations say otherwise. An error rejects its record.
pub const DEFAULTS: &[(&str, Severity)] = &[
    ("BOT-2110", Severity::Error),
    ("BOT-2111", Severity::Error),
    ("BOT-2112", Severity::Error),
    ("BOT-2113", Severity::Error),
    ("BOT-2114", Severity::Error),
    ("BOT-2115", Severity::Error),
    ("BOT-2116", Severity::Error),
    ("BOT-2117", Severity::Error),
    ("BOT-2118", Severity::Warning),
    ("BOT-2119", Severity::Warning),
    ("BOT-2120", Severity::Warning),
    ("BOT-2121", Severity::Warning),
    ("BOT-2122", Severity::Warning),
    ("BOT-2123", Severity::Warning),
    ("BOT-2124", Severity::Warning),
    ("BOT-2125", Severity::Warning),
    ("BOT-2126", Severity::Warning),
    ("BOT-2127", Severity::Warning),
    ("BOT-2200", Severity::Error),
    ("BOT-2201", Severity::Error),
    ("BOT-2202", Severity::Error),
    ("BOT-2203", Severity::Error),
    ("BOT-2204", Severity::Error),
    ("BOT-2205", Severity::Error),
    ("BOT-2206", Severity::Error),
    ("BOT-2207", Severity::Error),
    ("BOT-2208", Severity::Error),
    ("BOT-2209", Severity::Error),
    ("BOT-2210", Severity::Warning),
    ("BOT-2211", Severity::Warning),
    ("BOT-2212", Severity::Error),
    ("BOT-2213", Severity::Error),
    ("BOT-2214", Severity::Warning),
    ("BOT-2215", Severity::Warning),
    ("BOT-2216", Severity::Warning),
];

/// Returns how much `code` matters by default; `None` when it is no check of data.
pub fn default_severity(code: &str) -> Option<Severity> {
    DEFAULTS.iter().find(|(known, _)| *known == code).map(|(_, severity)| *severity)
}
