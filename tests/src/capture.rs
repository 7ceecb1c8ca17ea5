//! The log of one thread: a test whose apps run on one thread reads all their lines here, and no others.
//!
//! [`Capture`] is a log of its own, which misses lines whose place in the code another test of the process has met just
//! now. [`ThreadLog`] is the log of the whole process, and misses none.

use parking_lot::Mutex;
use std::cell::RefCell;
use std::io;
use std::sync::{Arc, Once};
use tracing_subscriber::fmt::MakeWriter;

/// The bytes as a program's default log would write them.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// Takes the lines of the project's own crates from this level on, until the guard is dropped.
    #[must_use]
    pub fn start(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        Self::filtered(&format!("off,pitaya_runtime={level},pitaya_core={level}"))
    }

    /// Takes the lines that pass a filter, until the guard is dropped.
    #[must_use]
    pub fn filtered(filter: &str) -> (Self, tracing::subscriber::DefaultGuard) {
        let capture = Self::default();
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(capture.clone());
        let guard = tracing::subscriber::set_default(lines.finish());
        (capture, guard)
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When a line is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("lines are UTF-8")
    }

    /// The lines that contain a text.
    #[must_use]
    pub fn lines(&self, with: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }
}

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Capture {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The log of the process, split by threads. All tests of a process that read it ask for one level.
#[derive(Debug)]
pub struct ThreadLog(());

thread_local! {
    static LINES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl ThreadLog {
    /// Takes the lines of this level and above, from the first time that any test of the process asks for it.
    ///
    /// # Panics
    /// When the process has another log already.
    #[must_use]
    pub fn start(level: tracing::Level) -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(|| Self(())).init();
        });
        LINES.take();
        Self(())
    }

    /// Everything of this thread so far.
    ///
    /// # Panics
    /// When a line is not UTF-8.
    #[must_use]
    pub fn text(&self) -> String {
        LINES.with_borrow(|lines| String::from_utf8(lines.clone()).expect("lines are UTF-8"))
    }
}

impl io::Write for ThreadLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
