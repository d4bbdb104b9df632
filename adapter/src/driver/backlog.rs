//! Calls that were made while there is no connection, in their order.

use std::collections::VecDeque;

use crate::config::WhenDown;
use crate::driver::call::Call;

#[derive(Debug)]
pub(super) struct Backlog {
    calls: VecDeque<Call>,
    capacity: usize,
}

impl Backlog {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            calls: VecDeque::new(),
            capacity,
        }
    }

    /// Whether another call may be held; whoever has given up makes room.
    pub(super) fn has_room(&mut self) -> bool {
        if self.calls.len() >= self.capacity {
            self.calls.retain(Call::is_wanted);
        }
        self.calls.len() < self.capacity
    }

    /// Holds a call, or fails it at once if its caller wants that.
    pub(super) fn hold(&mut self, call: Call) {
        if call.when_down == WhenDown::Fail {
            call.disconnected();
        } else {
            self.calls.push_back(call);
        }
    }

    /// The call that has waited longest.
    pub(super) fn next(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    /// Nobody will carry them out.
    pub(super) fn end(&mut self, tell: impl Fn(Call)) {
        self.calls.drain(..).for_each(tell);
    }
}
