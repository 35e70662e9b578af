//! Invented words whose frequencies follow a Zipf distribution.

/// Numbers that look random (SplitMix64), the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Draws a number of 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Draws a word: its rank is that of a Zipf distribution over 200,000 words.
    pub(crate) fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let mut rank = 200_000_f64.powf(uniform) as u64;
        let mut word = String::new();
        loop {
            word.push(char::from(b"bdfgklmnprstvz"[(rank % 14) as usize]));
            word.push(char::from(b"aeiou"[(rank / 14 % 5) as usize]));
            rank /= 70;
            if rank == 0 {
                return word;
            }
        }
    }

    /// Draws `n` words, joined by spaces.
    pub(crate) fn words(&mut self, n: usize) -> String {
        (0..n).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }
}
