//! The log of the backend, kept so that the demo can print it at the right moment.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;

/// The warnings of every client in this process.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    text: Arc<Mutex<String>>,
}

impl Journal {
    /// Installs the subscriber. A service would send its log to stderr or to its collector.
    pub(crate) fn install() -> Self {
        let journal = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_ansi(false)
            .with_target(false)
            .without_time()
            // A collector keeps the other fields too (ids, reason, scopes); here the message has them.
            .fmt_fields(debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                "fix" => write!(writer, " fix={value:?}"),
                _ => Ok(()),
            }))
            .with_writer(journal.clone())
            .init();
        journal
    }

    /// The lines since the last time.
    pub(crate) fn take(&self) -> Vec<String> {
        let text = std::mem::take(&mut *self.lock());
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().push_str(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
