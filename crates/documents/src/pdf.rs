//! The text of PDF files, read in a process of its own: the files of strangers have made readers of PDF run out of memory and
//! panic.

use crate::{builder::Builder, document::BlockKind};
use botops_findings::{Fault, Result};
use serde::{Deserialize, Serialize};
use std::{
    io::{Read as _, Write as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// Reads the text of the pages of PDF files.
pub trait PdfReader: Send + Sync {
    /// Returns the text of each page.
    ///
    /// # Errors
    /// `BOT-7104` (exit 3) the file is encrypted; `BOT-7106` (exit 3) it is broken, or too costly to read; `BOT-7107` (exit 1) no
    /// process could be started.
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>>;
}

/// Reads PDF files by `PROGRAM pdf-text`, which calls [`answer`].
#[derive(Debug, Clone)]
pub struct ChildPdfReader {
    /// The program, which is botops itself.
    pub program: PathBuf,
    /// The longest time for one file.
    pub patience: Duration,
    /// The most bytes of text that are taken.
    pub text_bytes: usize,
}

/// The answer of the process.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    #[serde(rename = "pages")]
    Pages(Vec<String>),
    #[serde(rename = "encrypted")]
    Encrypted,
    #[serde(rename = "broken")]
    Broken(String),
}

/// Ends the process when the reader goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broken(reason: &str) -> Fault {
    Fault::data("BOT-7106", format!("the PDF cannot be read: {reason}"))
        .hint("open it in a viewer and save it again, or import its text")
}

impl PdfReader for ChildPdfReader {
    fn pages(&self, bytes: &[u8]) -> Result<Vec<String>> {
        let started = Command::new(&self.program)
            .arg("pdf-text")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut child = Running(started.map_err(|error| {
            let program = self.program.display();
            Fault::internal("BOT-7107", format!("`{program} pdf-text` cannot be started: {error}"))
        })?);
        let mut stdin = child.0.stdin.take().expect("it is piped");
        let stdout = child.0.stdout.take().expect("it is piped");
        let input = bytes.to_vec();
        // A process that does not read ends with the pipe.
        thread::spawn(move || stdin.write_all(&input));
        // JSON writes a control character with six bytes.
        let most = 6 * self.text_bytes as u64;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.take(most + 1).read_to_end(&mut output);
            let _ = sender.send(read.map(|_| output));
        });
        let output = match receiver.recv_timeout(self.patience) {
            Ok(Ok(output)) if output.len() as u64 <= most => output,
            Ok(Ok(_)) => return Err(broken("it has too much text")),
            Ok(Err(error)) => return Err(broken(&error.to_string())),
            Err(_) => {
                return Err(broken(&format!("it takes longer than {} s", self.patience.as_secs())));
            }
        };
        // Whatever the library printed is before the last line.
        let last = output.rsplit(|byte| *byte == b'\n').find(|line| !line.is_empty());
        match serde_json::from_slice(last.unwrap_or_default()) {
            Ok(Answer::Pages(pages)) => Ok(pages),
            Ok(Answer::Encrypted) => Err(Fault::data("BOT-7104", "the PDF is encrypted")
                .hint("save it without a password, and import that")),
            Ok(Answer::Broken(reason)) => Err(broken(&reason)),
            Err(_) => Err(broken("its reader ran out of memory or time")),
        }
    }
}

/// Returns the answer of the process that reads one PDF file: one line of JSON.
#[must_use]
pub fn answer(bytes: &[u8]) -> String {
    // The library panics on some broken files. The process has no one else to serve.
    let read =
        catch_unwind(AssertUnwindSafe(|| pdf_extract::extract_text_from_mem_by_pages(bytes)));
    let is_encrypted = || bytes.windows(8).any(|window| window == b"/Encrypt");
    let answer = match read {
        Ok(Ok(pages)) => Answer::Pages(pages),
        _ if is_encrypted() => Answer::Encrypted,
        Ok(Err(error)) => Answer::Broken(error.to_string()),
        Err(_) => Answer::Broken("its structure is damaged".to_owned()),
    };
    serde_json::to_string(&answer).expect("an answer can be JSON")
}

/// Adds the paragraphs of a page: lines are joined, a hyphen at the end of a line is taken back, and an empty line ends a
/// paragraph.
pub(crate) fn paragraphs(page: &str, out: &mut Builder<'_>) -> Result<()> {
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() {
            out.end(BlockKind::Paragraph)?;
            continue;
        }
        let goes_on =
            lines.peek().is_some_and(|next| next.trim_start().starts_with(char::is_lowercase));
        match line
            .strip_suffix('-')
            .filter(|before| goes_on && before.ends_with(char::is_alphabetic))
        {
            Some(before) => out.push(before)?,
            None => {
                out.push(line)?;
                out.push(" ")?;
            }
        }
    }
    out.end(BlockKind::Paragraph)
}
