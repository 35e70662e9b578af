//! SVG charts: bars, intervals, curves, histograms, a reliability diagram, a weight over time.

use super::{
    html::escape,
    wording::{count, number, percent},
};
use botops_evaluation::ReliabilityBin;
use botops_stats::intervals::{LEVEL, wilson};

/// Returns a bar for a share in [0, 1], with the interval around it.
pub(super) fn share_bar(value: f64, interval: Option<[f64; 2]>) -> String {
    const WIDTH: f64 = 180.0;
    let x = |share: f64| share.clamp(0.0, 1.0) * WIDTH;
    let whisker = interval.map_or_else(String::new, |[lower, upper]| {
        let (from, to) = (x(lower), x(upper));
        format!("<path class=\"mark\" d=\"M{from:.1} 3v10M{from:.1} 8H{to:.1}M{to:.1} 3v10\"/>")
    });
    let title = match interval {
        Some([lower, upper]) => {
            format!("{} [{}, {}]", number(value), number(lower), number(upper))
        }
        None => number(value),
    };
    format!(
        "<svg width=\"182\" height=\"16\" viewBox=\"-1 0 182 16\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title><rect class=\"track\" x=\"0\" y=\"11\" width=\"{WIDTH}\" height=\"1\"/>\
         <rect class=\"bar\" x=\"0\" y=\"5\" width=\"{:.1}\" height=\"6\"/>{whisker}</svg>",
        x(value)
    )
}

/// Returns a scale that contains all finite `intervals`, with a margin of 5 % on both sides; [0, 1] for none.
pub(super) fn scale_of(intervals: impl Iterator<Item = [f64; 2]>) -> [f64; 2] {
    let (low, high) = intervals
        .filter(|[low, high]| low.is_finite() && high.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), [low, high]| (a.min(low), b.max(high)));
    if low > high {
        return [0.0, 1.0];
    }
    let room = ((high - low) * 0.05).max(1e-6);
    [low - room, high + room]
}

/// Returns a dot for `value` with its interval on `scale`, so that rows with the same scale can be compared.
pub(super) fn interval_on(value: f64, [lower, upper]: [f64; 2], scale: [f64; 2]) -> String {
    const WIDTH: f64 = 180.0;
    let x = |value: f64| ((value - scale[0]) / (scale[1] - scale[0])).clamp(0.0, 1.0) * WIDTH;
    let title = format!(
        "{value:.4} [{lower:.4}, {upper:.4}], scale from {:.4} to {:.4}",
        scale[0], scale[1]
    );
    let (from, to) = (x(lower), x(upper));
    format!(
        "<svg width=\"182\" height=\"16\" viewBox=\"-1 0 182 16\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title><rect class=\"track\" x=\"0\" y=\"8\" width=\"{WIDTH}\" height=\"1\"/>\
         <path class=\"mark\" d=\"M{from:.1} 4v9M{from:.1} 8.5H{to:.1}M{to:.1} 4v9\"/>\
         <circle class=\"bar\" cx=\"{:.1}\" cy=\"8.5\" r=\"4\"/></svg>",
        x(value)
    )
}

/// One point of [`curve`]: the number of training records, the score, and its interval.
pub(super) type CurveDot = (f64, f64, [f64; 2]);

/// Returns a chart of the score over the number of training records (logarithmic), with intervals.
///
/// `outlook` is an estimated point beyond the last one, drawn with a dashed line.
pub(super) fn curve(points: &[CurveDot], outlook: Option<CurveDot>, name: &str) -> String {
    const LEFT: f64 = 56.0;
    const TOP: f64 = 12.0;
    const WIDTH: f64 = 600.0;
    const HEIGHT: f64 = 220.0;
    let all = || points.iter().chain(&outlook);
    let [low, high] = scale_of(all().map(|(_, _, interval)| *interval));
    let least = all().map(|dot| dot.0).fold(f64::INFINITY, f64::min).max(1.0).ln();
    let most = all().map(|dot| dot.0).fold(1.0, f64::max).ln();
    let span = if most > least { most - least } else { 1.0 };
    let x = |n: f64| LEFT + (n.max(1.0).ln() - least) / span * WIDTH;
    let y = |score: f64| TOP + (1.0 - (score - low) / (high - low)) * HEIGHT;
    let mut out = format!(
        "<svg class=\"fluid\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"curve-title\" \
         font-size=\"12\"><title id=\"curve-title\">{} over training records</title>",
        LEFT + WIDTH + 30.0,
        TOP + HEIGHT + 44.0,
        escape(name)
    );
    for i in 0..=4 {
        let tick = low + (high - low) * f64::from(i) / 4.0;
        out += &format!(
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}h{WIDTH}\"/>\
             <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.3}</text>",
            LEFT - 6.0,
            y(tick) + 4.0,
            at = y(tick)
        );
    }
    let path: Vec<String> =
        points.iter().map(|(n, score, _)| format!("{:.1} {:.1}", x(*n), y(*score))).collect();
    if !path.is_empty() {
        out += &format!("<path class=\"path\" d=\"M{}\"/>", path.join("L"));
    }
    if let (Some(last), Some((n, score, _))) = (path.last(), outlook) {
        out += &format!("<path class=\"guide\" d=\"M{last}L{:.1} {:.1}\"/>", x(n), y(score));
    }
    for (n, score, [lower, upper]) in all() {
        let (cx, cy) = (x(*n), y(*score));
        out += &format!(
            "<g><title>{} records: {score:.4} [{lower:.4}, {upper:.4}]</title>\
             <path class=\"mark\" d=\"M{cx:.1} {:.1}V{:.1}\"/>\
             <circle class=\"bar\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"4\"/>\
             <text class=\"quiet-ink\" x=\"{cx:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text></g>",
            count(*n as u64),
            y(*lower),
            y(*upper),
            TOP + HEIGHT + 18.0,
            count(*n as u64)
        );
    }
    out += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">training records</text></svg>",
        LEFT + WIDTH / 2.0,
        TOP + HEIGHT + 38.0
    );
    out
}

/// Returns a bar for a number >= 0, with a tick at each of `marks`; `most` is the full width.
pub(super) fn bounded_bar(value: f64, most: f64, marks: &[f64], fill: &str) -> String {
    const WIDTH: f64 = 150.0;
    let most = if most > 0.0 && most.is_finite() { most } else { 1.0 };
    let x = |value: f64| (value / most).clamp(0.0, 1.0) * WIDTH;
    let ticks: String = marks
        .iter()
        .map(|&mark| format!("<path class=\"mark\" d=\"M{:.1} 2v12\"/>", x(mark)))
        .collect();
    format!(
        "<svg width=\"152\" height=\"16\" viewBox=\"-1 0 152 16\" aria-hidden=\"true\">\
         <rect class=\"track\" x=\"0\" y=\"11\" width=\"{WIDTH}\" height=\"1\"/>\
         <rect class=\"{}\" x=\"0\" y=\"5\" width=\"{:.1}\" height=\"6\"/>{ticks}</svg>",
        escape(fill),
        x(value.max(0.0))
    )
}

/// Returns a bar for `after`, with a thin bar below it for `before`; `most` is the full width.
pub(super) fn change_bar(before: Option<u64>, after: u64, most: u64, names: [&str; 2]) -> String {
    const WIDTH: f64 = 180.0;
    let x = |n: u64| n as f64 / most.max(1) as f64 * WIDTH;
    let (title, thin) = match before {
        None => (count(after), String::new()),
        Some(before) => (
            format!("{} {}, {} {}", names[0], count(before), names[1], count(after)),
            format!(
                "<rect class=\"bar-was\" x=\"0\" y=\"11\" width=\"{:.1}\" height=\"3\"/>",
                x(before)
            ),
        ),
    };
    format!(
        "<svg width=\"182\" height=\"16\" viewBox=\"-1 0 182 16\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title><rect class=\"bar\" x=\"0\" y=\"3\" width=\"{:.1}\" height=\"7\"/>{thin}</svg>",
        x(after)
    )
}

/// Returns the legend of a chart. Each entry has the class that fills its color, and its name as HTML.
pub(super) fn legend(entries: &[(&str, String)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(class, name)| {
            format!(
                "<span><svg width=\"14\" height=\"10\" aria-hidden=\"true\"><rect class=\"{class}\" width=\"14\" \
                 height=\"10\"/></svg>{name}</span>"
            )
        })
        .collect();
    format!("<div class=\"legend\">{entries}</div>")
}

/// One series of a [`histogram`].
pub(super) struct Series<'a> {
    /// The name of the series.
    pub(super) name: &'a str,
    /// The class that fills its bars.
    pub(super) class: &'a str,
    /// The count of each bin.
    pub(super) counts: &'a [u64],
}

/// Returns a histogram: the counts of each bin as bars, one per series; `labels` are the names of the bins.
///
/// - `by_share`: bars are shares, and each series adds up to 100 %
/// - empty bins at both ends are left out
/// - `guide` is a named vertical line; its position is counted in bins from the first
pub(super) fn histogram(
    title: &str,
    labels: &[String],
    series: &[Series<'_>],
    by_share: bool,
    guide: Option<(f64, &str)>,
) -> String {
    const LEFT: f64 = 52.0;
    const TOP: f64 = 20.0;
    const WIDTH: f64 = 560.0;
    const HEIGHT: f64 = 170.0;
    let is_filled =
        |at: &usize| series.iter().any(|one| one.counts.get(*at).is_some_and(|n| *n > 0));
    let first = (0..labels.len()).find(is_filled).unwrap_or(0);
    let last = (0..labels.len()).rev().find(is_filled).unwrap_or(0);
    let n_bins = last + 1 - first;
    let totals: Vec<u64> = series.iter().map(|one| one.counts.iter().sum()).collect();
    let value = |at: usize, bin: usize| {
        let n = series[at].counts.get(bin).copied().unwrap_or(0) as f64;
        if by_share { n / totals[at].max(1) as f64 } else { n }
    };
    let highest = (0..series.len())
        .flat_map(|at| (first..=last).map(move |bin| (at, bin)))
        .map(|(at, bin)| value(at, bin))
        .fold(0.0_f64, f64::max);
    let top = ceiling(highest, by_share);
    let y = |value: f64| TOP + (1.0 - value / top) * HEIGHT;
    let slot = WIDTH / n_bins as f64;
    let mut out = format!(
        "<svg class=\"fluid\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" font-size=\"12\">",
        LEFT + WIDTH + 12.0,
        TOP + HEIGHT + 26.0,
        escape(title)
    );
    for part in [0.0, 0.5, 1.0] {
        let tick = top * part;
        let text = if by_share { format!("{:.0} %", tick * 100.0) } else { count(tick as u64) };
        out += &format!(
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}h{WIDTH}\"/>\
             <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 6.0,
            y(tick) + 4.0,
            at = y(tick)
        );
    }
    let longest = labels[first..=last].iter().map(|label| label.chars().count()).max().unwrap_or(1);
    // 7.5 units per character: labels that do not fit are left out.
    let every = ((longest as f64 * 7.5 + 6.0) / slot).ceil().max(1.0) as usize;
    let width = (slot * 0.84 / series.len() as f64).min(40.0);
    for (bin, label) in labels.iter().enumerate().take(last + 1).skip(first) {
        let middle = LEFT + slot * ((bin - first) as f64 + 0.5);
        let counts: Vec<String> = series
            .iter()
            .enumerate()
            .map(|(at, one)| {
                let n = one.counts.get(bin).copied().unwrap_or(0);
                let share = percent(n as f64 / totals[at].max(1) as f64);
                format!("{} {} ({share})", one.name, count(n))
            })
            .collect();
        out += &format!("<g><title>{}: {}</title>", escape(label), escape(&counts.join(", ")));
        for (at, one) in series.iter().enumerate() {
            let value = value(at, bin);
            if value > 0.0 {
                let left = middle + width * (at as f64 - series.len() as f64 / 2.0);
                // A small count stays visible.
                let height = (TOP + HEIGHT - y(value)).max(1.0);
                out += &format!(
                    "<rect class=\"{}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                    one.class,
                    TOP + HEIGHT - height,
                    (width - 1.0).max(1.0)
                );
            }
        }
        if (bin - first).is_multiple_of(every) {
            out += &format!(
                "<text class=\"quiet-ink\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                TOP + HEIGHT + 16.0,
                escape(label)
            );
        }
        out += "</g>";
    }
    if let Some((at, name)) = guide {
        let x = LEFT + slot * (at - first as f64);
        if (LEFT..=LEFT + WIDTH).contains(&x) {
            let is_right = x > LEFT + WIDTH * 0.75;
            out += &format!(
                "<path class=\"guide\" d=\"M{x:.1} {:.1}V{:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}</text>",
                TOP - 8.0,
                TOP + HEIGHT,
                if is_right { x - 5.0 } else { x + 5.0 },
                TOP - 4.0,
                if is_right { "end" } else { "start" },
                escape(name)
            );
        }
    }
    out + "</svg>"
}

/// Returns the top of a scale: a round number of at least `highest`, whose half is also round. At least 2 for counts.
fn ceiling(highest: f64, by_share: bool) -> f64 {
    if highest <= 0.0 {
        return if by_share { 1.0 } else { 2.0 };
    }
    let power = 10.0_f64.powf(highest.log10().floor());
    let top = [1.0, 1.2, 1.6, 2.0, 2.4, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0]
        .map(|step| step * power)
        .into_iter()
        .find(|top| *top >= highest * 0.999_999)
        .unwrap_or(10.0 * power);
    if by_share { top.min(1.0) } else { top.max(2.0) }
}

/// Returns two bars, one above the other: the shares of reference and current; `most` is the full width.
pub(super) fn pair_bar(reference: f64, current: f64, most: f64) -> String {
    const WIDTH: f64 = 150.0;
    let most = if most > 0.0 { most } else { 1.0 };
    let x = |share: f64| (share / most).clamp(0.0, 1.0) * WIDTH;
    let title = format!("reference {}, current {}", percent(reference), percent(current));
    format!(
        "<svg width=\"152\" height=\"18\" viewBox=\"-1 0 152 18\" role=\"img\" aria-label=\"{title}\">\
         <title>{title}</title><rect class=\"bar\" x=\"0\" y=\"2\" width=\"{:.1}\" height=\"6\"/>\
         <rect class=\"bar-other\" x=\"0\" y=\"10\" width=\"{:.1}\" height=\"6\"/></svg>",
        x(reference),
        x(current)
    )
}

/// Returns a reliability diagram: the accuracy of each bin over its mean confidence, with the Wilson interval, the
/// diagonal of perfect calibration, and the number of samples of each bin below.
pub(super) fn reliability(bins: &[ReliabilityBin]) -> String {
    const SIDE: f64 = 300.0;
    const LEFT: f64 = 44.0;
    const TOP: f64 = 12.0;
    const BARS: f64 = 46.0;
    let x = |share: f64| LEFT + share.clamp(0.0, 1.0) * SIDE;
    let y = |share: f64| TOP + (1.0 - share.clamp(0.0, 1.0)) * SIDE;
    let (width, floor) = (LEFT + SIDE + 16.0, TOP + SIDE + 34.0 + BARS);
    let mut out = format!(
        "<svg class=\"fluid\" viewBox=\"0 0 {width} {}\" role=\"img\" \
         aria-labelledby=\"reliability-title\" font-size=\"11\">\
         <title id=\"reliability-title\">Accuracy over confidence, by bin</title>\
         <rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\"/>",
        floor + 34.0
    );
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (at_x, at_y) = (x(tick), y(tick));
        out += &format!(
            "<path class=\"grid\" d=\"M{LEFT} {at_y:.1}h{SIDE}M{at_x:.1} {TOP}v{SIDE}\"/>\
             <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.2}</text>\
             <text class=\"quiet-ink\" x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick:.2}</text>",
            LEFT - 6.0,
            at_y + 4.0,
            TOP + SIDE + 16.0
        );
    }
    out += &format!(
        "<path class=\"guide\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
        x(0.0),
        y(0.0),
        x(1.0),
        y(1.0)
    );
    let most = bins.iter().map(|bin| bin.n).max().unwrap_or(0).max(1) as f64;
    for bin in bins.iter().filter(|bin| bin.n > 0) {
        let right = (bin.accuracy * bin.n as f64).round() as u64;
        let [lower, upper] = wilson(right.min(bin.n), bin.n, LEVEL);
        let (cx, cy) = (x(bin.confidence), y(bin.accuracy));
        let height = (bin.n as f64 / most * BARS).max(1.0);
        out += &format!(
            "<g><title>confidence {:.2} to {:.2}: {} records, mean confidence {}, accuracy {} [{}, {}]\
             </title><path class=\"mark\" d=\"M{cx:.1} {:.1}V{:.1}\"/>\
             <circle class=\"bar\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"5\"/>\
             <rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/></g>",
            bin.lower,
            bin.upper,
            count(bin.n),
            number(bin.confidence),
            number(bin.accuracy),
            number(lower),
            number(upper),
            y(lower),
            y(upper),
            x(bin.lower) + 1.0,
            floor - height,
            (x(bin.upper) - x(bin.lower) - 2.0).max(1.0)
        );
    }
    let middle = LEFT + SIDE / 2.0;
    out += &format!(
        "<path class=\"grid\" d=\"M{LEFT} {floor}h{SIDE}\"/>\
         <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">confidence, with records per bin below</text>\
         <text transform=\"translate(11 {:.1}) rotate(-90)\" text-anchor=\"middle\">accuracy</text></svg>",
        LEFT - 6.0,
        floor - BARS + 8.0,
        count(most as u64),
        floor + 22.0,
        TOP + SIDE / 2.0
    );
    out
}

/// One point of [`steps`]: the seconds since the start, and the weight in percent from then on.
pub(super) type Step = (f64, f64);

/// Returns a step chart of the challenger's share of traffic over time; `labels` name the two ends of the time axis.
pub(super) fn steps(points: &[Step], labels: [&str; 2]) -> String {
    const LEFT: f64 = 48.0;
    const TOP: f64 = 12.0;
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 150.0;
    let last = points.last().map_or(0.0, |point| point.0);
    let span = if last > 0.0 { last } else { 1.0 };
    let top = points.iter().map(|point| point.1).fold(0.0_f64, f64::max);
    let top = if top > 50.0 {
        100.0
    } else if top > 0.0 {
        50.0
    } else {
        10.0
    };
    let x = |seconds: f64| LEFT + seconds / span * WIDTH;
    let y = |weight: f64| TOP + (1.0 - weight / top) * HEIGHT;
    let mut out = format!(
        "<svg class=\"fluid\" viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"steps-title\" \
         font-size=\"12\"><title id=\"steps-title\">Share of conversations on the challenger over time\
         </title>",
        LEFT + WIDTH + 16.0,
        TOP + HEIGHT + 26.0
    );
    for tick in [0.0, top / 2.0, top] {
        out += &format!(
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}h{WIDTH}\"/>\
             <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick} %</text>",
            LEFT - 6.0,
            y(tick) + 4.0,
            at = y(tick)
        );
    }
    if let Some(first) = points.first() {
        let mut path = format!("M{:.1} {:.1}", x(first.0), y(first.1));
        for point in &points[1..] {
            path += &format!("H{:.1}V{:.1}", x(point.0), y(point.1));
        }
        out += &format!("<path class=\"path\" d=\"{path}\"/>");
        for point in points {
            out += &format!(
                "<circle class=\"bar\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"/>",
                x(point.0),
                y(point.1)
            );
        }
    }
    out += &format!(
        "<text class=\"quiet-ink\" x=\"{LEFT}\" y=\"{below:.1}\">{}</text>\
         <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{below:.1}\" text-anchor=\"end\">{}</text></svg>",
        escape(labels[0]),
        LEFT + WIDTH,
        escape(labels[1]),
        below = TOP + HEIGHT + 20.0
    );
    out
}
