//! The arithmetic of the forward pass, in vectors of the processor at hand.
//!
//! Every function here writes what depends on one row alone (or, in attention, on the rows of one text), adding
//! in an order that neither the number of rows nor their place decides: so a text's embedding does not depend on
//! its neighbours, to the last bit. Between processors with and without fused multiply-add the last bits differ.

mod activation;
mod norm;
mod product;
mod softmax;
#[cfg(test)]
mod tests;

pub(super) use norm::Norm;
pub(super) use product::{LANES, Line, Product, Start};
pub(super) use softmax::softmax;

use pulp::{Arch, Simd, WithSimd};

/// Runs `kernel` in the widest vectors that are known to pay: AVX2 with FMA on x86-64 (AVX-512 was measured to be
/// no faster), NEON on 64-bit ARM, else plain code.
fn vectorised<K: WithSimd>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        return Simd::vectorize(simd, kernel);
    }
    Arch::new().dispatch(kernel)
}
