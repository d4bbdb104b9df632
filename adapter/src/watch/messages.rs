//! Watching the messages of a session.

use std::collections::VecDeque;

use super::SyncReason;
use super::registry::SubscriptionGuard;
use super::state::{Relevance, Topic};
use crate::api::chat::{ChatHistory, History, HistoryKind};
use crate::api::sessions::{InFlightRun, Message, MessageWritten, Session, SubscribeMessages};
use crate::client::Client;
use crate::config::WhenDown;
use crate::event::Event;
use crate::logic::error::Error;

/// Number of message ids that are kept to recognise repetitions.
const REMEMBERED: usize = 1024;

/// The messages of a session, as they are when a watch begins or has missed something.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MessagesSnapshot {
    /// True if these are all messages of the session. If not, they follow those that were given
    /// before.
    pub is_whole: bool,
    /// The messages, the oldest first.
    pub messages: Vec<Message>,
    /// True if there are older messages, which `chat.history` has at an offset.
    pub has_more: bool,
    /// The session.
    pub session: Option<Session>,
    /// The active run, with its text so far.
    pub in_flight: Option<InFlightRun>,
}

/// Answer to a request for a session's messages.
#[derive(Debug)]
pub(crate) struct Answer {
    guard: SubscriptionGuard,
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
    guard: Option<SubscriptionGuard>,
    cursor: Option<String>,
    /// The number of the last message that was given.
    last: u64,
    /// The ids of the last messages that were given.
    recent: VecDeque<String>,
}

impl Messages {
    pub(crate) fn new(key: String) -> Self {
        Self {
            canonical: key.clone(),
            key,
            guard: None,
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
            let mut guard = SubscriptionGuard::new(&client, &key);
            let key = {
                let _order = client.watched().subscribing().await;
                let call = client.call(SubscribeMessages::new(&*key));
                let subscribed = call.when_down(WhenDown::Wait).await?;
                guard.rename(&subscribed.key);
                subscribed.key
            };
            let question = ChatHistory::since(key.clone(), cursor);
            // A later connection has no subscription, so waiting for one is useless.
            let history = client.call(question).when_down(WhenDown::Fail).await?;
            Ok(Answer {
                guard,
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
    /// been given live.
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
        self.guard = Some(answer.guard);
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

    fn live(&mut self, event: &Event) -> Relevance<MessageWritten> {
        let written = match event.parse::<MessageWritten>() {
            None => return Relevance::Irrelevant,
            Some(Err(_)) => return Relevance::Stale(SyncReason::Unreadable),
            Some(Ok(written)) => written,
        };
        let (id, seq) = (written.message_id.as_deref(), written.message_seq);
        if written.session_key != self.canonical || self.is_known(id) {
            return Relevance::Irrelevant;
        }
        if seq.is_some_and(|seq| seq <= self.last) {
            // Another message under a number that was given before: the transcript was reset.
            self.cursor = None;
            return Relevance::Stale(SyncReason::TranscriptReset);
        }
        self.remember(id, seq);
        Relevance::New(written)
    }
}
