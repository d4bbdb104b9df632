//! Sessions: what is kept of them, the methods that show and change them, and what subscribers are told.

mod book;
mod calls;
mod change;
mod changed;
mod history;
mod list;
mod old;
mod row;

pub(crate) use book::{Book, Books, Via};
pub(crate) use calls::answer;
pub(crate) use change::{Created, create, first_turn, start_over};
pub(crate) use changed::{Cause, Subscriptions, changed, deleted, message, tool};
pub(crate) use history::{history, title};
pub(crate) use row::{Sight, View, beside};
