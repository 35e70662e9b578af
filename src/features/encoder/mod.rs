//! Text to dense features: the embedding a transformer encoder makes.

mod spec;

pub use spec::{EncoderSpec, Pooling};
