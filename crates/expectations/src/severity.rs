//! The default severity of each data check, and the words for severities.

use botops_findings::Severity;

/// The severity of each check unless the expectations set another. An error rejects its record.
pub(crate) const DEFAULTS: &[(&str, Severity)] = &[
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
    ("BOT-2255", Severity::Warning),
    ("BOT-2232", Severity::Info),
    ("BOT-2233", Severity::Warning),
    ("BOT-2234", Severity::Warning),
    ("BOT-2240", Severity::Warning),
    ("BOT-2241", Severity::Error),
    ("BOT-2242", Severity::Warning),
    ("BOT-2243", Severity::Warning),
];

/// Returns the default severity of `code`; `None` when it is not a data check.
pub(crate) fn default_severity(code: &str) -> Option<Severity> {
    DEFAULTS.iter().find(|(known, _)| *known == code).map(|(_, severity)| *severity)
}

/// A severity as written; `None` for `off`.
pub(crate) struct Level(pub(crate) Option<Severity>);

impl Level {
    /// Reads `word`; `None` when it is not a severity.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Some(Self(match word {
            "error" => Some(Severity::Error),
            "warning" => Some(Severity::Warning),
            "info" => Some(Severity::Info),
            "off" => None,
            _ => return None,
        }))
    }
}
