//! What is done to the client and around it.

use std::sync::Arc;

use openclaw_adapter::Token;
use openclaw_mock_gateway::MockGateway;
use serde_json::json;
use tokio::time::timeout;

use super::{MINUTE, World, filter};
use crate::sim::action::{Action, Misdeed};
use crate::sim::events::{NAME, Numbers, Reader};
use crate::sim::misdeed::fault;
use crate::sim::net::Flow;
use crate::sim::rules::Word;
use crate::sim::strangers;

impl World {
    pub(super) async fn perform(&mut self, action: Action) {
        match action {
            Action::Stop => {
                self.net.listen(false);
                self.is_up = false;
                self.gateway.stop().await;
            }
            Action::Kill => {
                self.net.listen(false);
                self.is_up = false;
                self.gateway.kill();
            }
            Action::Start => self.start().await,
            Action::Restart if self.is_up => {
                // Without a listener of TCP there is nothing that could fail.
                let _ = self.gateway.restart().await;
            }
            Action::Partition(ways) => ways
                .iter()
                .for_each(|&way| self.net.set_flow(way, Flow::Lost)),
            Action::Hold(ways) => ways
                .iter()
                .for_each(|&way| self.net.set_flow(way, Flow::Held)),
            Action::Heal { resets } => self.net.heal(resets),
            Action::Reset => self.net.reset(),
            Action::Link(speed) => self.net.set_speed(speed),
            Action::Approve => self.approve(),
            Action::Reject => {
                if let Some(request) = self.gateway.pending().first() {
                    let _ = self.gateway.reject(&request.request_id);
                }
            }
            Action::Remove => self.on_device(|gateway, device| drop(gateway.remove(device))),
            Action::Revoke => {
                self.on_device(|gateway, device| drop(gateway.revoke_operator(device)));
            }
            Action::Rotate => {
                self.on_device(|gateway, device| drop(gateway.rotate(device, "operator", None)));
            }
            Action::ChangeSecret => {
                self.secrets += 1;
                let secret = format!("secret-{:03}", self.secrets);
                self.gateway.set_token_on_disk(&secret).expect("in memory");
            }
            Action::RightToken => self.give(self.gateway.token_on_disk()),
            Action::WrongToken => self.give("wrong-token".to_owned()),
            Action::RetryNow => {
                self.referee.word(Word::Retry, None);
                self.client.retry_now();
            }
            Action::Strangers(times) => {
                for _ in 0..times {
                    let knock = strangers::knock(&self.gateway, self.locality);
                    let _ = timeout(MINUTE, knock).await;
                }
            }
            Action::GatewayClock(by) => self.gateway.advance_clock(by),
            Action::Leap(by) => {
                self.referee.leaps(by);
                tokio::time::advance(by).await;
            }
            Action::Calls {
                count,
                within,
                when_down,
            } => {
                for _ in 0..count {
                    let call = self.calls.make(&self.client, within, when_down);
                    self.waiting.push(call);
                }
            }
            // One at a time: in which order tasks learn that a client has changed is tokio's to choose,
            // by chance, and a seed has to give the same life again. `schedule` has many at once.
            Action::Run => {
                if self.runs.open() == 0 {
                    let number = self.runs.count() as u64;
                    self.runs.start(&self.client, number);
                }
            }
            Action::DropCalls => {
                let keep = self.rng.usize(0..=self.waiting.len());
                self.waiting.drain(keep..).for_each(|call| call.abort());
            }
            Action::Events(count) => self.emit(count),
            Action::Listen(pause) => {
                let stream = self.client.events_where(filter());
                let reader = Reader::start(stream, pause, self.numbers, Arc::clone(&self.referee));
                self.readers.push(reader);
            }
            Action::Unlisten if self.readers.len() > 1 => {
                let reader = self.readers.remove(1);
                self.items += reader.count();
                reader.stop();
            }
            Action::Restart | Action::Wait | Action::Unlisten => {}
            Action::Fault(misdeed) => {
                // The numbers that are left out are of events that nobody hears of. Where nobody can
                // tell that from the numbers, only the numbers have a hole.
                if let Misdeed::SeqGap(events) = misdeed {
                    // An event on either side shows the hole to whoever is connected.
                    self.emit(1);
                    self.gateway.inject(fault(misdeed));
                    if self.numbers == Numbers::OfTheConnection {
                        self.last_event += events;
                    }
                    self.emit(1);
                } else {
                    self.gateway.inject(fault(misdeed));
                }
            }
            Action::ClearFaults => self.clear_faults(),
        }
    }

    pub(super) async fn start(&mut self) {
        if !self.is_up {
            // Without a listener of TCP there is nothing that could fail.
            let _ = self.gateway.start_again().await;
            self.net.listen(true);
            self.is_up = true;
        }
    }

    pub(super) fn clear_faults(&self) {
        // As above.
        let _ = self.gateway.clear_faults();
    }

    pub(super) fn approve(&self) {
        for request in self.gateway.pending() {
            // Another approval may have taken it along.
            let _ = self.gateway.approve(&request.request_id);
        }
    }

    fn on_device(&self, act: impl Fn(&MockGateway, &str)) {
        for device in self.gateway.paired() {
            act(&self.gateway, &device.device_id);
        }
    }

    pub(super) fn give(&self, secret: String) {
        self.referee.word(Word::Token, Some(&secret));
        self.client.set_token(Token::new(secret).expect("a token"));
    }

    pub(super) fn emit(&mut self, count: u32) {
        for _ in 0..count {
            self.last_event += 1;
            self.gateway.emit(NAME, &json!({"n": self.last_event}));
        }
    }
}
