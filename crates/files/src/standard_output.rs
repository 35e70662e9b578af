//! Standard output in the place of a file.

use std::{
    io::{self, Write},
    path::Path,
};

/// The name of standard output as an output.
pub const STANDARD_OUTPUT: &str = "-";

/// Returns whether `path`, an output that the user named, is standard output: `-`, or the name of its device. A file with
/// the name `-` is written as `./-`.
#[must_use]
pub fn is_standard_output(path: &Path) -> bool {
    const DEVICES: [&str; 3] = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
    path.as_os_str() == STANDARD_OUTPUT || DEVICES.iter().any(|device| path == Path::new(device))
}

/// Returns the name of the output `path` in messages.
#[must_use]
pub fn output_name(path: &Path) -> String {
    match is_standard_output(path) {
        true => "standard output".to_owned(),
        false => path.display().to_string(),
    }
}

/// A stream whose reader may end before the content does, as `head` does. The rest of the content is then discarded.
#[derive(Debug)]
pub(crate) struct Stream<W> {
    inner: W,
    is_closed: bool,
}

impl<W: Write> Stream<W> {
    /// Makes a stream to `inner`.
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, is_closed: false }
    }

    /// Returns whether the reader has closed the stream.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Takes the closed pipe out of the result of a write.
    fn judge<T>(&mut self, written: io::Result<T>, all: T) -> io::Result<T> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(all)
            }
            other => other,
        }
    }
}

impl<W: Write> Write for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        self.judge(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.judge(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe whose reader takes some bytes and ends.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.0);
            self.0 -= n;
            match n {
                0 => Err(io::ErrorKind::BrokenPipe.into()),
                n => Ok(n),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_dash_and_the_devices_of_standard_output_are_standard_output() {
        for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert!(is_standard_output(Path::new(name)), "{name}");
        }
        for name in ["./-", "--", "-.csv", "folder/-", "/dev/null", ""] {
            assert!(!is_standard_output(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_reader_that_ends_early_is_no_error() {
        let mut stream = Stream::new(Pipe(4));
        stream.write_all(b"abc").unwrap();
        assert!(!stream.is_closed());
        stream.write_all(b"defgh").unwrap();
        assert!(stream.is_closed());
        stream.write_all(b"more").unwrap();
        stream.flush().unwrap();
    }
}
