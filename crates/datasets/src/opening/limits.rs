//! Limits of unpacking.

use botops_findings::{Fault, Place, Result};

/// The largest size to which a packed file may unpack. A few bytes on disk can fill the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest unpacked size, in bytes.
    pub max_unpacked_bytes: u64,
    /// The largest ratio of the unpacked size to the packed size.
    pub max_ratio: u64,
    /// The unpacked size from which the ratio applies: a short file of one repeated line is harmless.
    pub ratio_from_bytes: u64,
}

impl Limits {
    /// Allows `bytes` at any ratio, for a file that the user trusts.
    #[must_use]
    pub fn up_to(bytes: u64) -> Self {
        Self { max_unpacked_bytes: bytes, max_ratio: u64::MAX, ..Self::default() }
    }

    /// Checks that `unpacked` bytes are not too many for a file `name` of which `packed` bytes were read.
    ///
    /// # Errors
    /// `BOT-2160`.
    pub(crate) fn check(&self, unpacked: u64, packed: u64, name: &str) -> Result<()> {
        let Self { max_unpacked_bytes, max_ratio, ratio_from_bytes } = *self;
        let message = if unpacked > max_unpacked_bytes {
            format!("the file unpacks to more than {}", size(max_unpacked_bytes))
        } else if unpacked > ratio_from_bytes.max(packed.saturating_mul(max_ratio)) {
            format!(
                "the file unpacks to more than {max_ratio} times its size, and has {} already",
                size(unpacked)
            )
        } else {
            return Ok(());
        };
        let larger =
            size(max_unpacked_bytes.saturating_mul(if max_ratio == u64::MAX { 2 } else { 1 }));
        Err(Fault::data("BOT-2160", message)
            .at(Place { file: Some(name.to_owned()), ..Place::default() })
            .hint("check where it came from: such a file can fill the memory or the disk")
            .hint(format!("if you trust the file, allow it: `--max-unpacked {larger}`")))
    }
}

impl Default for Limits {
    /// 16 GiB, and a ratio of 200 from 64 MiB on. Logs and tables pack to 1/10 or 1/40 of their size, a bomb to 1/1000.
    fn default() -> Self {
        Self { max_unpacked_bytes: 16 << 30, max_ratio: 200, ratio_from_bytes: 64 << 20 }
    }
}

/// Returns a size in the form of a flag value: `16GiB`, `200MiB`.
fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >= 1 << shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}
