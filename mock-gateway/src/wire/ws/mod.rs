//! WebSocket on the server's side, written out.
//!
//! The gateway has to do on command what a library protects its users from (stop in the middle of a frame,
//! send what is no UTF-8, answer the upgrade with anything), and has to bound what it reads before a
//! client has proved who it is. Both are simplest with the frames in our own hands.

pub(crate) mod frame;
pub(crate) mod outbox;
pub(crate) mod upgrade;
