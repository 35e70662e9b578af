//! Shares of records: `20%` or `0.2`.

/// Parses `20%` or `0.2`.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, by) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(share) if share.is_finite() => Ok(share / by),
        _ => Err("write a share such as `20%` or `0.2`".to_owned()),
    }
}

/// Parses a share in [0, 1], such as `2%` or `0.02`.
pub(crate) fn share_up_to_one(text: &str) -> Result<f64, String> {
    let share = share(text).ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share such as `2%` or `0.02`".to_owned())
}

/// Parses a percentage above 0 and at most 100, such as `5%` or `5`.
pub(crate) fn percentage(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').map_or(text, str::trim_end);
    let percent = number.parse::<f64>().ok().filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent.ok_or_else(|| "write a percentage above 0 and at most 100, such as `5`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_above_0_and_at_most_100() {
        for (text, percent) in [("5", 5.0), ("12.5 %", 12.5), ("0.1%", 0.1), ("100", 100.0)] {
            assert_eq!(percentage(text), Ok(percent));
        }
        for text in ["", "%", "0", "-1", "100.1", "nan", "inf", "a tenth"] {
            assert!(percentage(text).is_err(), "{text}");
        }
    }

    #[test]
    fn shares_are_fractions_or_percentages() {
        assert_eq!(share("20%"), Ok(0.2));
        assert_eq!(share("12.5 %"), Ok(0.125));
        assert_eq!(share("0.1"), Ok(0.1));
        for text in ["", "%", "a fifth", "nan", "inf"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
