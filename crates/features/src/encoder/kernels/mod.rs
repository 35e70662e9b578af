//! The arithmetic of the forward pass for embedding, in vector instructions.
//!
//! Each result depends only on one row, or in attention on the rows of one text. The order of additions does
//! not depend on the number or the position of rows. So the embedding of a text has the same bits whatever
//! texts are in the batch. The last bits differ between processors with and without fused multiply-add.

mod activation;
mod norm;
mod product;
mod simd;
mod softmax;
#[cfg(test)]
mod tests;

pub(super) use norm::Norm;
pub(super) use product::{LANES, Line, Product, Start};
pub(super) use softmax::softmax;
