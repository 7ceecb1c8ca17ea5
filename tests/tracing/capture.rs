//! What is logged on one thread: apps of tests with one see all their lines here, and no others.

use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use tracing_subscriber::fmt::MakeWriter;

/// The bytes as a program's default log would write them.
#[derive(Clone, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// Logs from this level on come here until the guard is dropped.
    pub fn start(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        let capture = Self::default();
        // Foreign lines are none of ours.
        let filter = format!("off,pitaya_runtime={level},pitaya_core={level}");
        let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(capture.clone());
        let guard = tracing::subscriber::set_default(lines.finish());
        (capture, guard)
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("lines are UTF-8")
    }

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
