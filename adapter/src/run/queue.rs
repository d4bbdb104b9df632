//! The items that wait for a run's consumer: bounded, without losing text or the end.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::item::{RunItem, RunText};

/// How many items wait before the oldest ones give way.
const CAPACITY: usize = 1024;

#[derive(Debug, Default)]
struct State {
    items: VecDeque<RunItem>,
    /// How many items are missing before the first one.
    lagged: u64,
    closed: bool,
    waker: Option<Waker>,
}

#[derive(Debug, Default)]
pub(crate) struct Queue(Mutex<State>);

impl Queue {
    pub(crate) fn push(&self, item: RunItem) {
        let mut state = self.lock();
        if let (RunItem::Text(new), Some(RunItem::Text(last))) = (&item, state.items.back_mut()) {
            merge(last, new);
        } else {
            state.items.push_back(item);
        }
        if state.items.len() > CAPACITY {
            state.drop_oldest();
        }
        wake(state);
    }

    /// Nothing more comes.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        wake(state);
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<RunItem>> {
        let mut state = self.lock();
        if state.lagged > 0 {
            return Poll::Ready(Some(RunItem::Lagged(std::mem::take(&mut state.lagged))));
        }
        match state.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if state.closed => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops the oldest item that is no text, and puts the texts around it together.
    fn drop_oldest(&mut self) {
        let can_go = |item: &RunItem| !matches!(item, RunItem::Text(_) | RunItem::Ended(_));
        let Some(at) = self.items.iter().position(can_go) else {
            return;
        };
        self.lagged += match self.items.remove(at) {
            Some(RunItem::Lagged(more)) => more,
            _ => 1,
        };
        if at > 0
            && let Some(RunItem::Text(after)) = self.items.get(at).cloned()
            && let Some(RunItem::Text(before)) = self.items.get_mut(at - 1)
        {
            merge(before, &after);
            self.items.remove(at);
        }
    }
}

fn merge(before: &mut RunText, after: &RunText) {
    before.text = Arc::clone(&after.text);
    if after.replaced {
        before.replaced = true;
        before.delta.clone_from(&after.delta);
    } else {
        before.delta.push_str(&after.delta);
    }
}

fn wake(mut state: MutexGuard<'_, State>) {
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::task::noop_waker_ref;
    use proptest::prelude::*;

    use super::*;
    use crate::run::item::RunOutcome;

    fn text(text: &str, delta: &str, replaced: bool) -> RunItem {
        RunItem::Text(RunText {
            text: text.into(),
            delta: delta.to_owned(),
            replaced,
        })
    }

    fn read(queue: &Queue) -> Option<RunItem> {
        match queue.poll(&Context::from_waker(noop_waker_ref())) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    #[test]
    fn texts_that_nobody_has_read_become_one() {
        let queue = Queue::default();
        queue.push(text("a", "a", false));
        queue.push(text("ab", "b", false));
        let Some(RunItem::Text(read)) = read(&queue) else {
            panic!()
        };
        assert_eq!(
            (&*read.text, &*read.delta, read.replaced),
            ("ab", "ab", false)
        );
    }

    #[test]
    fn a_retraction_survives_the_merging() {
        let queue = Queue::default();
        queue.push(text("ab", "ab", false));
        queue.push(text("", "", true));
        queue.push(text("c", "c", false));
        let Some(RunItem::Text(read)) = read(&queue) else {
            panic!()
        };
        assert_eq!((&*read.text, &*read.delta, read.replaced), ("c", "c", true));
    }

    proptest! {
        #[test]
        fn however_slow_the_reader_text_and_end_arrive(steps in proptest::collection::vec(0_u8..4, 0..4000)) {
            let queue = Queue::default();
            let (mut whole, mut told) = (String::new(), String::new());
            let (mut pushed, mut read_items, mut lagged) = (0_u64, 0_u64, 0_u64);
            let mut take = |item: RunItem| match item {
                RunItem::Text(text) => {
                    if text.replaced { told.clear(); }
                    told.push_str(&text.delta);
                    assert_eq!(*told, *text.text);
                }
                RunItem::Lagged(n) => lagged += n,
                RunItem::Usage { .. } => read_items += 1,
                _ => {}
            };
            for (n, step) in steps.iter().enumerate() {
                match step {
                    0 | 1 => {
                        pushed += 1;
                        queue.push(RunItem::Usage { output: 1 });
                    }
                    2 => {
                        let delta = format!("{n} ");
                        whole.push_str(&delta);
                        queue.push(text(&whole, &delta, false));
                    }
                    _ if n % 7 == 0 => if let Some(item) = read(&queue) { take(item); },
                    _ => {}
                }
                prop_assert!(queue.lock().items.len() <= CAPACITY);
            }
            queue.push(RunItem::Ended(RunOutcome::Queued));
            let mut ended = false;
            while let Some(item) = read(&queue) {
                ended = matches!(item, RunItem::Ended(_));
                take(item);
            }
            prop_assert!(ended);
            prop_assert_eq!(told, whole);
            prop_assert_eq!(read_items + lagged, pushed);
        }
    }
}
