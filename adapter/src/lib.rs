//! A backend's connection to an OpenClaw gateway.
