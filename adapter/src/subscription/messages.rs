//! Watching the messages of a session.

use std::collections::VecDeque;

use super::SyncReason;
use super::history::{History, Page, ReadHistory};
use super::order::{Heard, Topic};
use super::registry::Ticket;
use crate::api::sessions::{InFlight, Message, MessageWritten, Session, SubscribeMessages};
use crate::client::Client;
use crate::config::WhenDown;
use crate::error::Error;
use crate::event::Event;

/// How many ids of messages are remembered, to know one that comes again.
const REMEMBERED: usize = 1024;

/// The messages of a session, as they are when a watch begins or has missed something.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessagesSnapshot {
    /// Whether these are the messages of the session. If not, they come after all that were told
    /// before.
    pub is_whole: bool,
    /// The messages, the oldest first.
    pub messages: Vec<Message>,
    /// Whether there are older messages, which `chat.history` tells with an offset.
    pub has_more: bool,
    /// The session.
    pub session: Option<Session>,
    /// The run that is under way, with its text so far.
    pub in_flight: Option<InFlight>,
}

/// What asking for a session's messages came to.
#[derive(Debug)]
pub(crate) struct Answer {
    ticket: Ticket,
    key: String,
    history: History,
}

/// The messages of one session.
#[derive(Debug)]
pub(crate) struct Messages {
    /// As it was asked for.
    key: String,
    /// As the gateway calls it in events.
    canonical: String,
    /// Keeps the subscription from being ended.
    ticket: Option<Ticket>,
    cursor: Option<String>,
    /// The number of the last message that was told.
    last: u64,
    /// The ids of the last messages that were told.
    recent: VecDeque<String>,
}

impl Messages {
    pub(crate) fn new(key: String) -> Self {
        Self {
            canonical: key.clone(),
            key,
            ticket: None,
            cursor: None,
            last: 0,
            recent: VecDeque::new(),
        }
    }

    /// Asks for the events first and for the messages then, so that none falls between.
    pub(crate) fn ask(
        &self,
        client: Client,
    ) -> impl Future<Output = Result<Answer, Error>> + Send + use<> {
        let (key, cursor) = (self.key.clone(), self.cursor.clone());
        async move {
            let mut ticket = Ticket::new(&client, &key);
            let key = {
                let _order = client.watched().subscribing().await;
                let call = client.call(SubscribeMessages::new(&*key));
                let subscribed = call.when_down(WhenDown::Wait).await?;
                ticket.rename(&subscribed.key);
                subscribed.key
            };
            let question = ReadHistory {
                session_key: key.clone(),
                cursor,
            };
            // A connection to come has no subscription, so there is nothing to wait for.
            let history = client.call(question).when_down(WhenDown::Fail).await?;
            Ok(Answer {
                ticket,
                key,
                history,
            })
        }
    }

    fn remember(&mut self, id: Option<&str>, seq: Option<u64>) {
        self.last = self.last.max(seq.unwrap_or_default());
        if let Some(id) = id {
            if self.recent.len() == REMEMBERED {
                self.recent.pop_front();
            }
            self.recent.push_back(id.to_owned());
        }
    }

    fn is_known(&self, id: Option<&str>) -> bool {
        id.is_some_and(|id| self.recent.iter().rev().any(|known| known == id))
    }

    fn whole(&mut self, page: Page<Message>) -> MessagesSnapshot {
        self.last = 0;
        self.recent.clear();
        for message in &page.messages {
            if let Some(place) = &message.place {
                self.remember(place.id.as_deref(), place.seq);
            }
        }
        self.cursor = page.delta_cursor;
        MessagesSnapshot {
            is_whole: true,
            messages: page.messages,
            has_more: page.has_more,
            session: page.session_info,
            in_flight: page.in_flight_run,
        }
    }

    /// A delta counts from its cursor; of what came since then, some may have been told live.
    fn delta(&mut self, page: Page<MessageWritten>) -> MessagesSnapshot {
        let told = self.last;
        let mut messages = Vec::new();
        for written in page.messages {
            let (id, seq) = (written.message_id.as_deref(), written.message_seq);
            if !self.is_known(id) && seq.is_none_or(|seq| seq > told) {
                self.remember(id, seq);
                messages.push(written.message);
            }
        }
        self.cursor = page.delta_cursor.or_else(|| self.cursor.take());
        MessagesSnapshot {
            is_whole: false,
            messages,
            has_more: page.has_more,
            session: page.session_info,
            in_flight: page.in_flight_run,
        }
    }
}

impl Topic for Messages {
    type Answer = Answer;
    type Snapshot = MessagesSnapshot;
    type Live = MessageWritten;

    fn snapshot(&mut self, answer: Answer) -> Option<MessagesSnapshot> {
        self.canonical = answer.key;
        self.ticket = Some(answer.ticket);
        match answer.history {
            History::Whole(page) => Some(self.whole(page)),
            History::Delta(page) => Some(self.delta(page)),
            History::Reset => {
                self.cursor = None;
                None
            }
        }
    }

    fn live(&mut self, event: &Event) -> Heard<MessageWritten> {
        let written = match event.parse::<MessageWritten>() {
            None => return Heard::Nothing,
            Some(Err(_)) => return Heard::OutOfDate(SyncReason::Unreadable),
            Some(Ok(written)) => written,
        };
        let (id, seq) = (written.message_id.as_deref(), written.message_seq);
        if written.session_key != self.canonical || self.is_known(id) {
            return Heard::Nothing;
        }
        if seq.is_some_and(|seq| seq <= self.last) {
            // Another message under a number that was given before: the transcript was begun anew.
            self.cursor = None;
            return Heard::OutOfDate(SyncReason::BegunAnew);
        }
        self.remember(id, seq);
        Heard::News(written)
    }
}
