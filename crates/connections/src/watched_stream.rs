//! The stream of a connection. It notes what the client sends and takes, and refuses HTTP/1.1 that is not strict.

use crate::activity::Activity;
use botops_http::{Malformed, StrictReader};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream whose activity is noted.
pub(crate) struct WatchedStream<S> {
    stream: S,
    activity: Arc<Activity>,
    reader: StrictReader,
    /// The bytes that the server still reads in place of a message that is refused.
    left: &'static [u8],
}

/// The server reads this in place of a message that is refused, and then the end: no message has a NUL here, so it answers
/// 400 and closes the connection. It looks for an error only when a head has its empty line.
const REFUSED: &[u8] = b"\0\r\n\r\n";

impl<S> WatchedStream<S> {
    /// Watches `stream`; a head may have `header_bytes`.
    pub(crate) fn new(stream: S, activity: Arc<Activity>, header_bytes: usize) -> Self {
        Self { stream, activity, reader: StrictReader::new(header_bytes), left: REFUSED }
    }

    /// Writes as much as fits of what the server reads in place of a message that is refused.
    fn refuse(&mut self, buffer: &mut ReadBuf<'_>) {
        let (now, later) = self.left.split_at(self.left.len().min(buffer.remaining()));
        buffer.put_slice(now);
        self.left = later;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WatchedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.activity.is_malformed() {
            this.refuse(buffer);
            return Poll::Ready(Ok(()));
        }
        let n_before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let is_other = this.reader.is_http2() || this.activity.is_upgraded();
        let bytes = &buffer.filled()[n_before..];
        if bytes.is_empty() || is_other {
            return Poll::Ready(Ok(()));
        }
        match this.reader.read(bytes) {
            // The first request of HTTP/2 is still to come.
            Ok(()) if this.reader.is_http2() => {}
            Ok(()) => this.activity.within_head(this.reader.is_within_head()),
            Err(Malformed { at }) => {
                this.activity.refused_message();
                buffer.set_filled(n_before + at);
                this.refuse(buffer);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WatchedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        note(&self.activity, &written, bytes.len());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        note(&self.activity, &written, slices.iter().map(|slice| slice.len()).sum());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_pending() {
            self.activity.wrote(None, 1);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        if shut.is_pending() {
            self.activity.wrote(None, 1);
        }
        shut
    }
}

/// Notes the bytes that the client took.
fn note(activity: &Activity, written: &Poll<io::Result<usize>>, of: usize) {
    match written {
        Poll::Ready(Ok(n)) => activity.wrote(Some(*n), of),
        Poll::Ready(Err(_)) => {}
        Poll::Pending => activity.wrote(None, of),
    }
}
