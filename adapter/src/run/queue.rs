//! The bounded queue of a run's items, which drops neither text nor the end.

use std::collections::VecDeque;
use std::sync::Arc;

use super::item::{RunItem, RunText};
use crate::event::{Buffer, Channel};

/// The number of items from which on the oldest ones are dropped.
const CAPACITY: usize = 1024;

/// The items that the consumer has not read.
#[derive(Debug, Default)]
pub(crate) struct Items {
    items: VecDeque<RunItem>,
    /// Number of items that were dropped before the first one.
    lagged: u64,
}

pub(crate) type Queue = Channel<Items>;

impl Queue {
    pub(crate) fn push(&self, item: RunItem) {
        self.update(|items| items.push(item));
    }
}

impl Buffer for Items {
    type Item = RunItem;

    fn pop(&mut self) -> Option<RunItem> {
        if self.lagged > 0 {
            return Some(RunItem::Lagged(std::mem::take(&mut self.lagged)));
        }
        self.items.pop_front()
    }
}

impl Items {
    fn push(&mut self, item: RunItem) {
        if let (RunItem::Text(new), Some(RunItem::Text(last))) = (&item, self.items.back_mut()) {
            merge(last, new);
        } else {
            self.items.push_back(item);
        }
        if self.items.len() > CAPACITY {
            self.drop_oldest();
        }
    }

    /// Drops the oldest item that is no text, and merges the texts around it.
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

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll};

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
    fn unread_texts_become_one() {
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
    fn a_replacement_survives_the_merging() {
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
            let (mut whole, mut text_read) = (String::new(), String::new());
            let (mut pushed, mut read_items, mut lagged) = (0_u64, 0_u64, 0_u64);
            let mut take = |item: RunItem| match item {
                RunItem::Text(text) => {
                    if text.replaced { text_read.clear(); }
                    text_read.push_str(&text.delta);
                    assert_eq!(*text_read, *text.text);
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
                let mut len = 0;
                queue.update(|items| len = items.items.len());
                prop_assert!(len <= CAPACITY);
            }
            queue.push(RunItem::Ended(RunOutcome::Queued));
            let mut ended = false;
            while let Some(item) = read(&queue) {
                ended = matches!(item, RunItem::Ended(_));
                take(item);
            }
            prop_assert!(ended);
            prop_assert_eq!(text_read, whole);
            prop_assert_eq!(read_items + lagged, pushed);
        }
    }
}
