//! Sets of 64-bit unit keys, written compactly.
//!
//! A set is stored as base64 of the differences between its sorted keys, each in the fewest groups of 7 bits. Keys are
//! HMACs, spread evenly over 64 bits: a set of 100,000 keys takes about 0.9 MB.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A set of unit keys: sorted, each key once.
///
/// One key stands for one conversation: 64 bits of its HMAC (see [`botops_digest::hmac_sha256`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitSet(Vec<u64>);

impl UnitSet {
    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates over the keys, in rising order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// Returns the stored form.
    fn encoded(&self) -> String {
        let mut bytes = Vec::with_capacity(self.0.len() * 8);
        let mut before = 0;
        for &key in &self.0 {
            let mut rest = key - before;
            while rest >= 0x80 {
                bytes.push((rest & 0x7f) as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            before = key;
        }
        STANDARD_NO_PAD.encode(bytes)
    }

    /// Reads the stored form.
    ///
    /// The memory it takes is bounded by eight times the length of `text`.
    fn decoded(text: &str) -> Result<Self, String> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| error.to_string())?;
        let (mut keys, mut before, mut rest) = (Vec::new(), None, bytes.iter());
        while !rest.as_slice().is_empty() {
            let mut step = 0_u64;
            for shift in (0..).step_by(7) {
                let byte = *rest.next().ok_or("the last key is cut off")?;
                let bits = u64::from(byte & 0x7f);
                if shift > 63 || (shift == 63 && bits > 1) {
                    return Err("a key has more than 64 bits".to_owned());
                }
                step |= bits << shift;
                if byte & 0x80 == 0 {
                    if byte == 0 && shift > 0 {
                        return Err("a key is not in its shortest form".to_owned());
                    }
                    break;
                }
            }
            let key: u64 = match before {
                None => step,
                Some(_) if step == 0 => return Err("a key is there twice".to_owned()),
                Some(before) => step.checked_add(before).ok_or("a key has more than 64 bits")?,
            };
            keys.push(key);
            before = Some(key);
        }
        Ok(Self(keys))
    }
}

impl FromIterator<u64> for UnitSet {
    fn from_iter<I: IntoIterator<Item = u64>>(keys: I) -> Self {
        let mut keys: Vec<u64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        Self(keys)
    }
}

impl Serialize for UnitSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encoded())
    }
}

impl<'de> Deserialize<'de> for UnitSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decoded(&text)
            .map_err(|reason| de::Error::custom(format!("a set of units: {reason}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(set: &UnitSet) -> String {
        serde_json::to_string(set).unwrap()
    }

    proptest! {
        #[test]
        fn a_set_is_read_back_as_it_was(keys: Vec<u64>, small in proptest::collection::vec(0_u64..300, 0..50)) {
            for keys in [keys, small] {
                let set: UnitSet = keys.iter().copied().collect();
                prop_assert_eq!(&serde_json::from_str::<UnitSet>(&text(&set)).unwrap(), &set);
                let mut expected = keys;
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(set.iter().collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn any_text_is_a_set_with_that_one_form_or_refused(bytes: Vec<u8>) {
            let stored = STANDARD_NO_PAD.encode(bytes);
            if let Ok(set) = UnitSet::decoded(&stored) {
                prop_assert_eq!(set.encoded(), stored);
                prop_assert!(set.0.is_sorted_by(|a, b| a < b));
            }
        }
    }

    #[test]
    fn the_ends_of_the_range_are_keys() {
        let set: UnitSet = [u64::MAX, 0, 1, u64::MAX].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 1, u64::MAX]);
        assert_eq!(UnitSet::decoded(&set.encoded()).unwrap(), set);
        assert_eq!(text(&UnitSet::default()), r#""""#);
    }

    #[test]
    fn damaged_sets_are_refused_with_a_reason() {
        let of = |bytes: &[u8]| UnitSet::decoded(&STANDARD_NO_PAD.encode(bytes)).unwrap_err();
        assert_eq!(of(&[5, 0]), "a key is there twice");
        assert_eq!(of(&[0x80]), "the last key is cut off");
        assert_eq!(of(&[0x85, 0]), "a key is not in its shortest form");
        assert_eq!(of(&[0xff; 12]), "a key has more than 64 bits");
        let mut too_large = vec![0xff; 9];
        too_large.push(1);
        too_large.push(1);
        assert_eq!(of(&too_large), "a key has more than 64 bits");
        assert!(UnitSet::decoded("a!").unwrap_err().contains("Invalid"), "not base64");
    }

    #[test]
    fn a_hundred_thousand_keys_take_less_than_a_megabyte() {
        let set: UnitSet = (0..100_000_u64)
            .map(|i| crate::unit_key(b"key", &format!("conversation {i}")))
            .collect();
        assert_eq!(set.len(), 100_000);
        let bytes = text(&set).len();
        assert!(bytes < 1_000_000, "{bytes}");
    }
}
