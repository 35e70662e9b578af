//! The confusion matrix as an SVG drawing: rows are truth, columns predicted.

use super::{
    html::escape,
    page::scroll_box,
    theme::STEPS,
    wording::{count, line, of},
};
use crate::search_script::pick;
use botops_evaluation::EvaluationReport;

/// The id of the searchable table of errors. Cells of the matrix link to its rows.
pub(super) const ERRORS: &str = "wrong";

/// The most classes in the drawing. With more it is not readable, so it shows those with the most errors.
const MOST_CLASSES: usize = 100;

/// A pair of intents: `n` of the `support` records of `truth` were predicted as `predicted`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Confused<'a> {
    pub(super) truth: &'a str,
    pub(super) predicted: &'a str,
    pub(super) n: u64,
    pub(super) support: u64,
}

/// Returns the confused pairs, the most frequent first, ties by name.
pub(super) fn confused(report: &EvaluationReport) -> Vec<Confused<'_>> {
    let mut pairs = Vec::new();
    for (truth, row) in report.intents.iter().zip(&report.confusion) {
        let support = row.iter().sum();
        for (predicted, &n) in report.intents.iter().zip(row) {
            if n > 0 && truth != predicted {
                pairs.push(Confused { truth, predicted, n, support });
            }
        }
    }
    pairs.sort_by(|a, b| {
        b.n.cmp(&a.n).then_with(|| (a.truth, a.predicted).cmp(&(b.truth, b.predicted)))
    });
    pairs
}

/// The measures of the drawing, in pixels.
struct Layout {
    cell: f64,
    font: f64,
    left: f64,
    top: f64,
    name_chars: usize,
    /// The rotation of column names, in degrees: 40 for few classes, else 90.
    angle: f64,
}

impl Layout {
    fn of(names: &[&str]) -> Self {
        let n = names.len();
        let (cell, font, name_chars): (f64, f64, usize) = match n {
            0..=8 => (52.0, 12.5, 28),
            9..=14 => (50.0, 12.0, 28),
            15..=30 => (30.0, 11.0, 30),
            31..=50 => (19.0, 10.5, 32),
            _ => (13.0, 9.5, 34),
        };
        let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        // 0.6 em per character is an upper estimate for the system's sans-serif fonts.
        let label = longest.min(name_chars + 1) as f64 * font * 0.6 + 10.0;
        // A large matrix fits the width of a desktop page.
        let room = (1_196.0 - label.max(70.0)) / n as f64;
        let cell = if n > 50 { cell.min(room).max(9.0) } else { cell };
        let angle = if n <= 14 { 40.0_f64 } else { 90.0 };
        let top = label * angle.to_radians().sin() + font + 18.0;
        Self { cell, font, left: label.max(70.0), top, name_chars, angle }
    }
}

/// Returns the drawing in a scrolling box, with its legend.
pub(super) fn heat_map(report: &EvaluationReport) -> String {
    let classes = drawn_classes(report);
    let names: Vec<&str> = classes.iter().map(|&class| report.intents[class].as_str()).collect();
    let layout = Layout::of(&names);
    let Layout { cell, font, left, top, name_chars, angle } = layout;
    let side = cell * classes.len() as f64;
    let lean = angle.to_radians().cos() * (left - 10.0);
    let (width, height) = (left + side + lean.max(0.0) + 12.0, top + side + 6.0);
    let mut out = format!(
        "<svg width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         role=\"img\" aria-labelledby=\"matrix-title\" font-size=\"{font}\">\
         <title id=\"matrix-title\">Confusion matrix: rows are the true intent, columns the predicted \
         one</title>\
         <text class=\"quiet-ink\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">truth ↓</text>\
         <text class=\"quiet-ink\" x=\"{left:.1}\" y=\"{:.1}\">predicted →</text>",
        left - 8.0,
        top - 8.0,
        font
    );
    for (at, name) in names.iter().enumerate() {
        let middle = cell.mul_add(at as f64 + 0.5, 0.0);
        let (label, full) = (escape(&line(name, name_chars)), escape(&line(name, 200)));
        out += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" dominant-baseline=\"central\">\
             <title>{full}</title>{label}</text>\
             <text transform=\"translate({:.1} {:.1}) rotate(-{angle})\" \
             dominant-baseline=\"central\"><title>{full}</title>{label}</text>",
            left - 8.0,
            top + middle,
            left + middle,
            top - 6.0
        );
    }
    out += &grid(classes.len(), &layout, side);
    for (row, &truth) in classes.iter().enumerate() {
        let support: u64 = report.confusion[truth].iter().sum();
        for (column, &predicted) in classes.iter().enumerate() {
            let n = report.confusion[truth][predicted];
            if n > 0 {
                let cell =
                    Cell { row, column, truth: names[row], predicted: names[column], n, support };
                out += &draw_cell(&cell, &layout);
            }
        }
    }
    out += "</svg>";
    let left_out = report.intents.len() - classes.len();
    let note = if left_out == 0 {
        String::new()
    } else {
        format!(
            "<p class=\"quiet\">Only the {} intents with the most errors are drawn; {} are left out.</p>",
            classes.len(),
            count(left_out as u64)
        )
    };
    format!("{note}{}{}", legend(), scroll_box("Confusion matrix", &out))
}

/// A cell of the matrix with records: `n` of the `support` records of its row.
struct Cell<'a> {
    row: usize,
    column: usize,
    truth: &'a str,
    predicted: &'a str,
    n: u64,
    support: u64,
}

/// Returns a cell: its color, its count if there is room, and a link to its records if it is an error.
fn draw_cell(cell: &Cell<'_>, layout: &Layout) -> String {
    let &Cell { row, column, truth, predicted, n, support } = cell;
    let Layout { cell: side, font, left, top, .. } = *layout;
    let is_right = row == column;
    let share = n as f64 / support as f64;
    // Errors are few and each matters: the square root makes small shares visible.
    let (ramp, depth) = if is_right { ("right", share) } else { ("wrong", share.sqrt()) };
    let step = ((depth * STEPS as f64).ceil() as usize).clamp(1, STEPS);
    let (x, y) = (left + side * column as f64, top + side * row as f64);
    let title = if is_right {
        format!("{}: {} right", line(truth, 80), of(n, support))
    } else {
        format!("{} predicted as {}: {}", line(truth, 80), line(predicted, 80), of(n, support))
    };
    // An error links to its records.
    let (open, close) = if is_right {
        ("<g>".to_owned(), "</g>\n")
    } else {
        let values = [line(truth, 80), line(predicted, 80)];
        let pick = pick(ERRORS, &[&values[0], &values[1]]);
        (format!("<a href=\"#errors\" {pick} aria-label=\"{}\">", escape(&title)), "</a>\n")
    };
    let mut out = format!(
        "{open}<title>{}</title><rect class=\"{ramp}{step}\" x=\"{:.1}\" y=\"{:.1}\" \
         width=\"{:.1}\" height=\"{:.1}\"/>",
        escape(&title),
        x + 0.5,
        y + 0.5,
        side - 1.0,
        side - 1.0
    );
    let digits = count(n);
    let size = (side * 0.62).min(font + 2.0).min(1.5 * side / digits.len() as f64);
    if size >= 6.0 {
        out += &format!(
            "<text class=\"{ramp}{step}-ink\" x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size:.1}\" \
             text-anchor=\"middle\" dominant-baseline=\"central\">{digits}</text>",
            x + side / 2.0,
            y + side / 2.0
        );
    }
    out + close
}

/// Returns the classes to draw, in the order of the report.
fn drawn_classes(report: &EvaluationReport) -> Vec<usize> {
    let n = report.intents.len();
    if n <= MOST_CLASSES {
        return (0..n).collect();
    }
    let mut errors: Vec<(u64, usize)> = (0..n).map(|class| (0, class)).collect();
    for (truth, row) in report.confusion.iter().enumerate() {
        for (predicted, &n) in row.iter().enumerate().filter(|(p, _)| *p != truth) {
            errors[truth].0 += n;
            errors[predicted].0 += n;
        }
    }
    errors.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut classes: Vec<usize> = errors[..MOST_CLASSES].iter().map(|(_, class)| *class).collect();
    classes.sort_unstable();
    classes
}

/// Returns grid lines around every cell, or around every fifth if cells are small.
fn grid(n: usize, layout: &Layout, side: f64) -> String {
    let every = if layout.cell >= 19.0 { 1 } else { 5 };
    let (left, top) = (layout.left, layout.top);
    let mut path = String::new();
    for at in (0..=n).filter(|at| at % every == 0 || *at == n) {
        let offset = layout.cell * at as f64;
        path += &format!(
            "M{left:.1} {:.1}h{side:.1}M{:.1} {top:.1}v{side:.1}",
            top + offset,
            left + offset
        );
    }
    format!("<path class=\"grid\" d=\"{path}\" fill=\"none\"/>")
}

/// Returns the two color scales with their meaning.
fn legend() -> String {
    let swatches = |ramp: &str| -> String {
        let cells: String = (1..=STEPS)
            .map(|step| {
                format!(
                    "<rect class=\"{ramp}{step}\" x=\"{}\" y=\"0\" width=\"14\" height=\"12\"/>",
                    (step - 1) * 14
                )
            })
            .collect();
        format!("<svg width=\"84\" height=\"12\" aria-hidden=\"true\">{cells}</svg>")
    };
    format!(
        "<div class=\"legend\"><span>{} right, from few to all of the row</span><span>{} wrong, \
         from few to all of the row</span></div>",
        swatches("right"),
        swatches("wrong")
    )
}
