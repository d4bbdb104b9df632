//! The end of a life: all is mended, perhaps, and the client is closed.

use std::sync::Arc;
use std::time::Duration;

use openclaw_adapter::ConnectionState;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{CLOSE, MINUTE, Story, Tally, World};
use crate::sim::events::Reader;
use crate::sim::net::Speed;
use crate::sim::rules::Word;

impl World {
    /// Everything that is broken is mended; the client has to come back by itself.
    pub(super) async fn mend(&mut self) {
        self.referee.note("everything is mended");
        self.net.heal(self.rng.bool());
        self.net.set_speed(Speed::default());
        self.clear_faults();
        self.start().await;
        // Whoever changed the secret restarts the gateway, as its documentation says.
        let _ = self.gateway.restart().await;
        self.give(self.gateway.token_on_disk());
        // A lockout lasts five minutes, and our own pause at most as long.
        let is_back = timeout(20 * MINUTE, async {
            while !self.is_answered().await {
                self.approve();
                // Nobody but a person takes a client out of this one.
                if self.client.state().borrow().is_stopped() {
                    self.referee.word(Word::Retry, None);
                    self.client.retry_now();
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
        if is_back.await.is_err() {
            self.referee.foul("the client did not come back");
            return;
        }
        self.check().await;
        let call = self
            .calls
            .make(&self.client, MINUTE, openclaw_adapter::WhenDown::Wait);
        self.emit(3);
        sleep(MINUTE / 2).await;
        self.check().await;
        let last = self.readers.first().map_or(0, Reader::last);
        if last != self.last_event {
            let told = self.last_event;
            self.referee.foul(format!(
                "a good connection brought events up to {last} of {told}"
            ));
        }
        let _ = timeout(2 * MINUTE, call).await;
        let runs = async {
            while self.runs.open() > 0 {
                sleep(Duration::from_secs(1)).await;
            }
        };
        if timeout(20 * MINUTE, runs).await.is_err() {
            self.referee.foul("a run has no end");
        }
        self.check().await;
    }

    /// Whether the connection carries a call: one that looks good may be dead already.
    async fn is_answered(&self) -> bool {
        self.client.state().borrow().is_ready() && {
            let call = self.client.call_raw("health", json!({}));
            call.within(Duration::from_secs(2)).await.is_ok()
        }
    }

    pub(super) async fn end(mut self) -> Story {
        let began = Instant::now();
        let stats_of = self.client.clone();
        self.referee.closed();
        if self.rng.u8(0..4) > 0 {
            self.referee.note("close");
            if timeout(CLOSE, self.client.close()).await.is_err() {
                self.referee.foul("close did not return");
            }
        } else {
            // Whoever drops a client early finds it closed as well.
            self.referee.note("close, not waited for");
            let mut state = self.client.state();
            let closing = tokio::spawn({
                let client = self.client.clone();
                async move { client.close().await }
            });
            self.settle().await;
            closing.abort();
            let ended = async { while state.changed().await.is_ok() {} };
            if timeout(CLOSE, ended).await.is_err() {
                self.referee.foul("the client's task did not end");
            }
        }
        self.settle().await;
        let is_closed = matches!(
            &*self.client.state().borrow(),
            ConnectionState::Stopped { reason, .. } if reason.kind() == "closed"
        );
        if !is_closed {
            self.referee.foul("the last state is not closed");
        }
        if self.referee.held() > 0 {
            self.referee.foul("a socket is left after close");
        }
        self.calls.check();
        if self.calls.open() > 0 || self.runs.open() > 0 {
            self.referee.foul("calls or runs are open after close");
        }
        // A slow consumer still reads what was there.
        let patience = 10 * MINUTE;
        let drained = timeout(patience, async {
            while !self.readers.iter().all(Reader::has_ended) {
                sleep(Duration::from_secs(1)).await;
            }
        });
        if drained.await.is_err() {
            self.referee.foul("an event stream has no end");
        }
        self.check().await;
        let stats = stats_of.stats();
        if (
            stats.calls,
            stats.unanswered,
            stats.runs,
            stats.event_streams,
        ) != (0, 0, 0, 0)
        {
            self.referee.foul(format!("left behind: {stats:?}"));
        }
        drop(stats_of);
        self.items += self.readers.iter().map(Reader::count).sum::<u64>();
        let (dials, hellos) = self.referee.counts();
        let tally = Tally {
            steps: self.steps,
            dials,
            hellos,
            calls: self.calls.count() as u64,
            runs: self.runs.count() as u64,
            items: self.items,
            time: began - self.began,
        };
        let (referee, seed) = (Arc::clone(&self.referee), self.seed);
        drop(self);
        for _ in 0..64 {
            tokio::task::yield_now().await;
        }
        let tasks = tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks();
        if tasks > 0 {
            referee.foul(format!("{tasks} tasks are left"));
        }
        Story {
            seed,
            fouls: referee.fouls(),
            log: referee.log(),
            tally,
        }
    }
}
