//! Sessions: what is kept of them, the methods that show and change them, and what subscribers are told.

pub(crate) mod calls;
pub(crate) mod change;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod notify;
pub(crate) mod old;
pub(crate) mod row;

pub(crate) use calls::answer;
pub(crate) use change::{create, first_turn, start_over};
pub(crate) use history::history;
pub(crate) use notify::{changed, deleted, message, tool};
