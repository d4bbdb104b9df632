//! WebSocket on the server's side, written out.
//!
//! The gateway has to do on command what a library protects its users from (stop in the middle of a frame,
//! send what is no UTF-8, answer the upgrade with anything), and has to bound what it reads before a
//! client has proved who it is. Both are simplest with the frames in our own hands.

mod frame;
mod outbox;
mod upgrade;

pub(crate) use frame::{FrameReader, Incoming, ReadFault};
pub(crate) use outbox::{Out, Outbox, Writer, text_frame};
pub(crate) use upgrade::{Head, HeadFault, accept_response, http_response, read_head};
