//! The colors of a page in light and dark mode, and the pairs that must contrast.

/// A color: its name, its value in light mode, its value in dark mode.
type Color = (&'static str, &'static str, &'static str);

/// All colors. `right1`…`right6` and `wrong1`…`wrong6` are the two scales of the matrix, each with the color (`-ink`)
/// of numbers on it.
pub(super) const COLORS: [Color; 39] = [
    ("page", "#ffffff", "#0f1419"),
    ("panel", "#f5f7f9", "#171d24"),
    ("ink", "#1b2026", "#e6ebf0"),
    ("muted", "#56606b", "#9ba7b4"),
    ("line", "#d5dbe1", "#2f3843"),
    ("accent", "#0b5cad", "#6cb6ff"),
    ("good", "#14652c", "#5fd07a"),
    ("bad", "#b3241a", "#ff8d84"),
    ("warn", "#835400", "#e3b341"),
    ("good-soft", "#e3f4e7", "#12301c"),
    ("bad-soft", "#fdeae8", "#3b1614"),
    ("warn-soft", "#fcf1da", "#33270b"),
    ("bar", "#3f87c5", "#4f93cf"),
    ("bar-other", "#c06a1b", "#d98a3d"),
    ("bar-was", "#87919d", "#707c8a"),
    ("right1", "#e1edf8", "#12283e"),
    ("right1-ink", "#1b2026", "#e6ebf0"),
    ("right2", "#bdd8ef", "#163b5f"),
    ("right2-ink", "#1b2026", "#e6ebf0"),
    ("right3", "#93c0e4", "#1d4f80"),
    ("right3-ink", "#1b2026", "#ffffff"),
    ("right4", "#66a5d6", "#2a68a3"),
    ("right4-ink", "#10161c", "#ffffff"),
    ("right5", "#2a72b0", "#6fb0e6"),
    ("right5-ink", "#ffffff", "#0f1419"),
    ("right6", "#0d4f88", "#a9d3f7"),
    ("right6-ink", "#ffffff", "#0f1419"),
    ("wrong1", "#fdeeda", "#2e1d0d"),
    ("wrong1-ink", "#1b2026", "#f3e6d8"),
    ("wrong2", "#fbd3a6", "#4c2c0f"),
    ("wrong2-ink", "#1b2026", "#f3e6d8"),
    ("wrong3", "#f7b06c", "#734111"),
    ("wrong3-ink", "#1b2026", "#ffffff"),
    ("wrong4", "#ee8c3a", "#995216"),
    ("wrong4-ink", "#10161c", "#ffffff"),
    ("wrong5", "#b34e0c", "#e2903f"),
    ("wrong5-ink", "#ffffff", "#0f1419"),
    ("wrong6", "#873603", "#ffc78f"),
    ("wrong6-ink", "#ffffff", "#0f1419"),
];

/// Text colors and their backgrounds. Each pair has a contrast of at least 4.5 to 1.
#[cfg(test)]
pub(super) const TEXT_ON: [(&str, &[&str]); 7] = [
    ("ink", &["page", "panel", "good-soft", "bad-soft", "warn-soft"]),
    ("muted", &["page", "panel"]),
    ("accent", &["page", "panel"]),
    ("good", &["page", "panel", "good-soft"]),
    ("bad", &["page", "panel", "bad-soft"]),
    ("warn", &["page", "panel", "warn-soft"]),
    ("page", &["accent"]),
];

/// The number of steps of each color scale of the matrix.
pub(super) const STEPS: usize = 6;

/// Returns the custom properties of all colors, and the classes of the color scales.
pub(super) fn css() -> String {
    let declare = |dark: bool| -> String {
        let value = |color: &Color| if dark { color.2 } else { color.1 };
        COLORS.iter().map(|color| format!("--{}:{};", color.0, value(color))).collect()
    };
    let mut out = format!(
        ":root{{color-scheme:light dark;{}}}\n\
         @media screen and (prefers-color-scheme:dark){{:root{{{}}}}}\n",
        declare(false),
        declare(true)
    );
    for ramp in ["right", "wrong"] {
        for step in 1..=STEPS {
            out += &format!(
                ".{ramp}{step}{{fill:var(--{ramp}{step})}}\
                 .{ramp}{step}-ink{{fill:var(--{ramp}{step}-ink)}}\n"
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the relative luminance of WCAG 2.2.
    fn luminance(hex: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn color(name: &str) -> Color {
        *COLORS.iter().find(|color| color.0 == name).unwrap()
    }

    #[test]
    fn every_text_contrasts_with_its_background() {
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 1e-9);
        let mut pairs: Vec<(String, String)> = TEXT_ON
            .iter()
            .flat_map(|(text, grounds)| grounds.iter().map(|g| (text.to_string(), g.to_string())))
            .collect();
        for ramp in ["right", "wrong"] {
            pairs.extend((1..=STEPS).map(|s| (format!("{ramp}{s}-ink"), format!("{ramp}{s}"))));
        }
        for (text, ground) in pairs {
            let (text_color, ground_color) = (color(&text), color(&ground));
            for (text_hex, ground_hex) in
                [(text_color.1, ground_color.1), (text_color.2, ground_color.2)]
            {
                let found = contrast(text_hex, ground_hex);
                assert!(found >= 4.5, "{text} on {ground}: {found:.2}");
            }
        }
    }

    #[test]
    fn marks_contrast_with_the_page() {
        for mark in ["bar", "bar-other", "bar-was", "good", "bad", "warn", "muted"] {
            let (mark, page) = (color(mark), color("page"));
            assert!(contrast(mark.1, page.1) >= 3.0, "{mark:?} in light");
            assert!(contrast(mark.2, page.2) >= 3.0, "{mark:?} in dark");
        }
    }
}
