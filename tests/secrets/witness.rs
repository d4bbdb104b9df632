//! Everything that this process says: through `tracing`, through `log`, in panics, and in the texts
//! that a test hands over.

use std::fmt::{Debug, Display, Write as _};
use std::io;
use std::sync::{Mutex, PoisonError};

use openclaw_adapter::ConnectionState;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::canary::Canaries;

#[derive(Default)]
pub(crate) struct Said {
    pub(crate) tracing: String,
    pub(crate) log: String,
    pub(crate) panics: String,
    pub(crate) texts: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn assert_silence(&self, canaries: &Canaries) {
        for (place, text) in [
            ("what was traced", &self.tracing),
            ("what was logged", &self.log),
            ("a panic", &self.panics),
            ("Debug, Display or an error", &self.texts),
        ] {
            canaries.absent(place, text);
        }
    }
}

static SAID: Mutex<Said> = Mutex::new(Said {
    tracing: String::new(),
    log: String::new(),
    panics: String::new(),
    texts: String::new(),
});

fn said<T>(take: impl FnOnce(&mut Said) -> T) -> T {
    take(&mut SAID.lock().unwrap_or_else(PoisonError::into_inner))
}

/// All that was said so far.
pub(crate) fn take() -> Said {
    said(std::mem::take)
}

struct Lines;

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        said(|said| said.tracing.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a backend has that logs what crates of the other kind say.
struct Bridge;

impl log::Log for Bridge {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} {}\n", record.level(), record.target(), record.args());
        said(|said| said.log.push_str(&line));
    }

    fn flush(&self) {}
}

/// Listens at TRACE, to everything, from now on.
pub(crate) fn listen() {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_ansi(false)
        .with_writer(|| Lines)
        .init();
    log::set_boxed_logger(Box::new(Bridge)).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        said(|said| {
            let _ = writeln!(said.panics, "{panic}");
        });
        before(panic);
    }));
}

/// Keeps what `Debug` says of a value, in both forms.
pub(crate) fn debug(value: &impl Debug) {
    said(|said| {
        let _ = writeln!(said.texts, "{value:?}\n{value:#?}");
    });
}

/// Keeps a text.
pub(crate) fn text(text: &impl Display) {
    said(|said| {
        let _ = writeln!(said.texts, "{text}");
    });
}

/// Keeps what a state says, as a backend would log it.
pub(crate) fn state(state: &ConnectionState) {
    debug(state);
    match state {
        ConnectionState::BackingOff { cause, .. } => error(&**cause),
        ConnectionState::Stopped { reason, .. } => {
            text(reason);
            text(&reason.fix());
            debug(reason);
        }
        _ => {}
    }
}

/// Keeps all that an error says, with its sources, and what it says in the panic of an `unwrap`.
pub(crate) fn error<E: std::error::Error>(error: &E) {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(this) = next {
        text(&this);
        debug(&this);
        next = this.source();
    }
    let unwrapped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let outcome: Result<(), &E> = std::hint::black_box(Err(error));
        outcome.unwrap();
    }));
    assert!(unwrapped.is_err());
}
