//! One subscriber for the whole process. It hands each line and span to the test on whose thread it arises.
//!
//! A subscriber per thread (`tracing::subscriber::set_default`) loses lines where tests run side by side: `tracing`
//! caches for the whole process whether a place in the code is listened to, as the first thread there has it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

thread_local! {
    static LOG: RefCell<Option<(Level, Log)>> = const { RefCell::new(None) };
    static SPANS: RefCell<Option<Spans>> = const { RefCell::new(None) };
}

fn subscribe() {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_writer(LogOfThread);
        let subscriber = tracing_subscriber::registry()
            .with(lines)
            .with(SpansOfThread);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}

/// The lines that the thread of a test logs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the lines of this thread from `level` upwards, in place of an earlier capture.
    pub(crate) fn start(level: Level) -> Self {
        subscribe();
        let log = Self::default();
        LOG.set(Some((level, log.clone())));
        log
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(ToOwned::to_owned).collect()
    }

    pub(crate) fn add(&self, line: &str) {
        writeln!(self.0.lock().unwrap(), "{line}").unwrap();
    }
}

/// Where a line goes: into the log of its thread, or nowhere.
struct Destination(Option<Log>);

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.0 {
            Some(log) => log.0.lock().unwrap().write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct LogOfThread;

impl MakeWriter<'_> for LogOfThread {
    type Writer = Destination;

    fn make_writer(&self) -> Destination {
        Destination(None)
    }

    fn make_writer_for(&self, line: &Metadata<'_>) -> Destination {
        let log = LOG.try_with(|log| match &*log.borrow() {
            Some((level, log)) if line.level() <= level => Some(log.clone()),
            _ => None,
        });
        Destination(log.ok().flatten())
    }
}

/// A span as a collector of traces gets it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) name: &'static str,
    pub(crate) parent: Option<&'static str>,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// The spans that ended on the thread of a test.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(Arc<Mutex<Vec<Span>>>);

impl Spans {
    /// Captures the spans of this thread, in place of an earlier capture.
    pub(crate) fn start() -> Self {
        subscribe();
        let spans = Self::default();
        SPANS.set(Some(spans.clone()));
        spans
    }

    /// The ended spans of this name, in the order of their ends.
    pub(crate) fn named(&self, name: &str) -> Vec<Span> {
        let ended = self.0.lock().unwrap();
        let named = ended.iter().filter(|span| span.name == name);
        named.cloned().collect()
    }
}

struct SpansOfThread;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for SpansOfThread {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut record = Span {
            name: span.name(),
            parent: span.parent().map(|parent| parent.name()),
            fields: BTreeMap::new(),
        };
        attributes.record(&mut record);
        span.extensions_mut().insert(record);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Span>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let record = span.extensions_mut().remove::<Span>().unwrap();
        let _ = SPANS.try_with(|spans| {
            if let Some(spans) = &*spans.borrow() {
                spans.0.lock().unwrap().push(record);
            }
        });
    }
}
