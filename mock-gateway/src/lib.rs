//! A mock OpenClaw gateway.
