//! `sessions.*`: the conversations of a gateway.

mod calls;
mod events;
mod list;
mod message;
mod patch;
mod row;

pub use calls::{
    Abort, AbortStatus, Aborted, Compact, Compacted, Create, Created, Delete, Deleted, Reset,
    ResetDone, ResolvedModel, Send, Sent,
};
pub use events::{
    ChangePhase, ChangeReason, Changed, MessageWritten, MessagesSubscribed, Subscribe,
    SubscribeMessages, Subscribed, ToolUsed, UnsubscribeMessages,
};
pub use list::{
    Archived, Describe, Described, Get, List, Preview, PreviewItem, PreviewStatus, Previews,
    Resolve, Resolved, SessionDefaults, SessionList, SessionPreview, SortBy, Transcript,
};
pub use message::{Content, Message, Part, Place, Role};
pub use patch::{Patch, Patched, Setting};
pub use row::{Session, SessionKind, SessionStatus, SharingRole};
