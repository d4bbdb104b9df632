//! Watching the messages of a session.

use std::collections::VecDeque;

use super::SyncReason;
use super::order::{Heard, Topic};
use super::registry::Ticket;
use crate::api::chat::{ChatHistory, History, HistoryKind};
use crate::api::sessions::{InFlightRun, Message, MessageWritten, Session, SubscribeMessages};
use crate::client::Client;
use crate::config::WhenDown;
use crate::event::Event;
use crate::logic::error::Error;

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
    pub in_flight: Option<InFlightRun>,
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
            let question = ChatHistory::since(key.clone(), cursor);
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

    /// Keeps what is new. A delta counts from its cursor; of what came since then, some may have
    /// been told live.
    fn take_in(&mut self, messages: Vec<Message>, is_whole: bool) -> Vec<Message> {
        if is_whole {
            self.last = 0;
            self.recent.clear();
        }
        // All are looked at before any is remembered: a message that is shown in two has one id.
        let news: Vec<_> = messages
            .into_iter()
            .filter(|message| is_whole || self.is_news(message))
            .collect();
        for message in &news {
            if let Some(place) = &message.place {
                self.remember(place.id.as_deref(), place.seq);
            }
        }
        news
    }

    fn is_news(&self, message: &Message) -> bool {
        message.place.as_ref().is_none_or(|place| {
            !self.is_known(place.id.as_deref()) && place.seq.is_none_or(|seq| seq > self.last)
        })
    }
}

impl Topic for Messages {
    type Answer = Answer;
    type Snapshot = MessagesSnapshot;
    type Live = MessageWritten;

    fn snapshot(&mut self, answer: Answer) -> Option<MessagesSnapshot> {
        self.canonical = answer.key;
        self.ticket = Some(answer.ticket);
        let history = answer.history;
        if history.kind == Some(HistoryKind::Reset) {
            self.cursor = None;
            return None;
        }
        let is_whole = history.kind.is_none();
        self.cursor = history.delta_cursor.or_else(|| self.cursor.take());
        Some(MessagesSnapshot {
            is_whole,
            messages: self.take_in(history.messages, is_whole),
            has_more: history.has_more.unwrap_or_default(),
            session: history.session_info,
            in_flight: history.in_flight_run,
        })
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
