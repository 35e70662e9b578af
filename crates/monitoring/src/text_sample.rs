//! A sample of the texts of a window, chosen by a hash of their requests, so that the choice does not depend on the order.

use botops_digest::Digest;
use botops_predictions::Record;
use std::collections::BinaryHeap;

/// At most a fixed number of texts.
#[derive(Debug)]
pub(crate) struct TextSample {
    most: usize,
    /// The texts with the smallest hashes; the largest of these first.
    kept: BinaryHeap<([u8; 16], String)>,
}

impl TextSample {
    /// Makes an empty sample of at most `most` texts.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: BinaryHeap::new() }
    }

    /// Adds the text of a record, if it was kept.
    pub(crate) fn add(&mut self, record: &Record) {
        let Some(text) = &record.text else { return };
        let digest = Digest::of(format!("{}/{}", record.request_id, record.index).as_bytes());
        let mut rank = [0; 16];
        rank.copy_from_slice(&digest.as_bytes()[..16]);
        let is_full = self.kept.len() >= self.most;
        if is_full && self.kept.peek().is_some_and(|(largest, _)| rank >= *largest) {
            return;
        }
        self.kept.push((rank, text.clone()));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    /// Returns the texts in the order of their hashes.
    pub(crate) fn into_texts(self) -> Vec<String> {
        self.kept.into_sorted_vec().into_iter().map(|(_, text)| text).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_same_in_any_order_of_records() {
        let record = |i: u32| Record {
            request_id: format!("r{i}"),
            text: (!i.is_multiple_of(10)).then(|| format!("text {i}")),
            ..Record::default()
        };
        let sampled = |order: &mut dyn Iterator<Item = u32>| {
            let mut sample = TextSample::new(50);
            order.for_each(|i| sample.add(&record(i)));
            sample.into_texts()
        };
        let forward = sampled(&mut (0..500));
        assert_eq!(forward.len(), 50);
        assert_eq!(forward, sampled(&mut (0..500).rev()));
        assert_eq!(sampled(&mut (0..20)).len(), 18);
    }
}
