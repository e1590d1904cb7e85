//! Progress bars: on stderr, only where a person watches, gone when done.

use std::io::{self, Read, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text;

/// A bar that is drawn if stderr is a terminal and nobody asked for quiet, and is cleared when dropped. Ctrl-C lets
/// the loop around it end by [`interrupt::check`](crate::interrupt::check), which drops it.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over `total` bytes.
    pub fn bytes(label: &str, total: u64, hidden: bool) -> Self {
        Self::new(
            label,
            total,
            hidden,
            "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {eta}",
        )
    }

    /// A bar over `total` things.
    pub fn count(label: &str, total: u64, hidden: bool) -> Self {
        Self::new(label, total, hidden, "{msg} [{wide_bar}] {pos}/{len} {eta}")
    }

    fn new(label: &str, total: u64, hidden: bool, template: &str) -> Self {
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        // The templates are the two above; a test draws both.
        bar.set_style(
            ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> "),
        );
        let progress = Self { bar };
        progress.label(label);
        progress.bar.enable_steady_tick(Duration::from_millis(200));
        progress
    }

    /// Goes forward by `n`.
    pub fn add(&self, n: u64) {
        self.bar.inc(n);
    }

    /// Goes to `n`, for what resumes.
    pub fn set(&self, n: u64) {
        self.bar.set_position(n);
    }

    /// Changes the text before the bar. Foreign text is made visible.
    pub fn label(&self, text: &str) {
        self.bar.set_message(text::truncate(&text::visible(text), 30));
    }

    /// Runs `f` with the bar out of the way, so that what it prints is not torn.
    pub fn suspend<T>(&self, f: impl FnOnce() -> T) -> T {
        self.bar.suspend(f)
    }

    /// Counts the bytes that are read through it.
    pub fn reader<R: Read>(&self, reader: R) -> impl Read + use<R> {
        self.bar.wrap_read(reader)
    }

    /// Counts the bytes that are written through it.
    pub fn writer<W: Write>(&self, writer: W) -> impl Write + use<W> {
        Counted {
            bar: self.bar.clone(),
            writer,
        }
    }

    /// Clears the bar; the same as dropping it.
    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

struct Counted<W> {
    bar: ProgressBar,
    writer: W,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.writer.write(bytes)?;
        self.bar.inc(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_both_ways() {
        let progress = Progress::bytes("copying", 10, true);
        io::copy(&mut progress.reader(&b"12345"[..]), &mut progress.writer(io::sink())).unwrap();
        assert_eq!(progress.bar.position(), 10);
    }

    #[test]
    fn both_templates_are_understood() {
        for template in [
            "{msg} [{wide_bar}] {binary_bytes}/{binary_total_bytes} {eta}",
            "{msg} [{wide_bar}] {pos}/{len} {eta}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
