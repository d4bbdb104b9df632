//! Spans, metrics and trace context.

pub(crate) mod metrics;
pub(crate) mod spans;
pub(crate) mod trace_context;
