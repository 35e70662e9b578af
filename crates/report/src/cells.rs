//! Numbers in the cells of tables and cards: intervals, and metrics with their intervals.

use super::wording::number;
use botops_evaluation::Metric;

/// Writes an interval in words: "0.910 to 0.930".
pub(super) fn range([lower, upper]: [f64; 2]) -> String {
    format!("{} to {}", number(lower), number(upper))
}

/// Returns a metric with its interval as HTML: "0.920 [0.910, 0.930]", the interval in a muted color.
pub(super) fn metric_cell(metric: &Metric) -> String {
    let [lower, upper] = metric.ci95;
    format!(
        "{} <span class=\"quiet\">[{}, {}]</span>",
        number(metric.value),
        number(lower),
        number(upper)
    )
}
