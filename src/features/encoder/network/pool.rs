//! The vectors of a text's tokens become one.

use super::{
    super::Pooling,
    packed::Span,
    slices::{floats, numbers},
};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::Arc;

/// [n_rows, width] to [n_texts, width]: the mean of a text's rows, or its first.
pub(super) struct Pool {
    pub(super) spans: Arc<[Span]>,
    pub(super) pooling: Pooling,
}

impl Pool {
    /// The rows of a text that count, and the share of each.
    fn share(&self, span: Span) -> (std::ops::Range<usize>, f32) {
        match self.pooling {
            Pooling::Mean => (span.start..span.start + span.len, 1.0 / span.len as f32),
            Pooling::Cls => (span.start..span.start + 1, 1.0),
        }
    }
}

impl CustomOp1 for Pool {
    fn name(&self) -> &'static str {
        "pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let x = floats(x, layout)?;
        let mut out = vec![0.0; self.spans.len() * width];
        for (out, &span) in out.chunks_exact_mut(width).zip(self.spans.iter()) {
            let (rows, share) = self.share(span);
            for row in rows {
                for (out, x) in out.iter_mut().zip(&x[row * width..]) {
                    *out += x * share;
                }
            }
        }
        Ok((CpuStorage::F32(out), (self.spans.len(), width).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, width) = x.dims2()?;
        let grad = grad.contiguous()?;
        let (grad, layout) = grad.storage_and_layout();
        let grad = numbers(&grad, layout)?;
        let mut out = vec![0.0; x.elem_count()];
        for (grad, &span) in grad.chunks_exact(width).zip(self.spans.iter()) {
            let (rows, share) = self.share(span);
            for row in rows {
                for (out, grad) in out[row * width..].iter_mut().zip(grad) {
                    *out = grad * share;
                }
            }
        }
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}
