//! Examples of the OpenClaw adapter; see the folders beside this one.
