//! Numbers as people read them.

/// Returns `n` with its thousands separated: `12,345`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a count and its noun, in the singular for 1: `1 record`, `2,941 records`.
#[must_use]
pub fn counted(n: u64, one: &str, several: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { several })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 7, 999, 1_000, 12_345, 1_234_567, u64::MAX].map(count);
        let wanted =
            ["0", "7", "999", "1,000", "12,345", "1,234,567", "18,446,744,073,709,551,615"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn one_is_singular() {
        let shown = [0, 1, 2_000].map(|n| counted(n, "record", "records"));
        assert_eq!(shown, ["0 records", "1 record", "2,000 records"]);
    }
}
