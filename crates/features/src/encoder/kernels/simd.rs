//! Dispatch to the vector instructions of the processor.

use pulp::{Arch, Simd, WithSimd};

/// Runs `kernel` with AVX2 and FMA on x86-64, NEON on 64-bit ARM, else as plain code.
///
/// AVX-512 was measured to be no faster than AVX2.
pub(super) fn vectorised<K: WithSimd>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, kernel);
    }
    Arch::new().dispatch(kernel)
}
