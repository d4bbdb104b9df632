//! Watching the list of sessions.

use std::collections::HashMap;

use super::SyncReason;
use super::state::{Relevance, Topic};
use crate::api::sessions::{ChangeReason, Changed, List, SessionList, Subscribe, Subscribed};
use crate::client::Client;
use crate::config::WhenDown;
use crate::event::Event;
use crate::logic::error::Error;

/// The sessions, as the gateway lists them.
#[derive(Debug)]
pub(crate) struct Sessions {
    list: List,
    /// Reading time of the last list's rows. An event about a row from before that time is old.
    read_at: HashMap<String, u64>,
}

impl Sessions {
    pub(crate) fn new(list: List) -> Self {
        Self {
            list,
            read_at: HashMap::new(),
        }
    }

    /// Asks for the events and a list in one. Releases of protocol 4 before 2026.8 send no list with
    /// the events, and are asked for it afterwards, on the same connection.
    pub(crate) fn ask(
        &self,
        client: Client,
    ) -> impl Future<Output = Result<Subscribed, Error>> + Send + use<> {
        let (question, list) = (Subscribe::with_list(self.list.clone()), self.list.clone());
        async move {
            let mut answer = client.call(question).when_down(WhenDown::Wait).await?;
            if answer.list.is_none() {
                // Without waiting: a later connection has no subscription.
                answer.list = Some(client.call(list).when_down(WhenDown::Fail).await?);
            }
            Ok(answer)
        }
    }

    fn is_old(&self, change: &Changed) -> bool {
        let row = change.session.as_ref();
        row.and_then(|row| Some((self.read_at.get(&row.key)?, row.snapshot_at?)))
            .is_some_and(|(listed, sent)| sent < *listed)
    }
}

impl Topic for Sessions {
    type Answer = Subscribed;
    type Snapshot = SessionList;
    type Live = Changed;

    fn snapshot(&mut self, answer: Subscribed) -> Option<SessionList> {
        let list = answer.list?;
        self.read_at = list
            .sessions
            .iter()
            .filter_map(|row| Some((row.key.clone(), row.snapshot_at?)))
            .collect();
        Some(list)
    }

    fn live(&mut self, event: &Event) -> Relevance<Changed> {
        match event.parse::<Changed>() {
            None => Relevance::Irrelevant,
            Some(Err(_)) => Relevance::Stale(SyncReason::Unreadable),
            Some(Ok(change)) if self.is_old(&change) => Relevance::Irrelevant,
            Some(Ok(change)) if change.session_key.is_some() || is_harmless(&change) => {
                Relevance::New(change)
            }
            Some(Ok(_)) => Relevance::Stale(SyncReason::ListChanged),
        }
    }
}

/// Changes without a key that say nothing new about which sessions there are: a deletion is sent
/// with its key just before.
fn is_harmless(change: &Changed) -> bool {
    matches!(
        change.reason,
        Some(ChangeReason::Delete | ChangeReason::CronBindingsLoaded | ChangeReason::Groups)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    fn event(payload: &Value) -> Event {
        let raw = RawValue::from_string(payload.to_string()).unwrap();
        Event::new("sessions.changed", Some(&raw), None)
    }

    fn watch() -> Sessions {
        let mut sessions = Sessions::new(List::new());
        let answer = json!({"subscribed":true,"list":{"sessions":[{"key":"k","snapshotAt":10}]}});
        let list = sessions.snapshot(serde_json::from_value(answer).unwrap());
        assert_eq!(list.unwrap().sessions.len(), 1);
        sessions
    }

    fn relevance(payload: &Value) -> &'static str {
        match watch().live(&event(payload)) {
            Relevance::New(_) => "news",
            Relevance::Irrelevant => "nothing",
            Relevance::Stale(_) => "out of date",
        }
    }

    #[test]
    fn a_row_that_is_older_than_the_list_is_no_news() {
        let row = |key: &str, at: u64| json!({"sessionKey":key,"reason":"patch","session":{"key":key,"snapshotAt":at}});
        assert_eq!(relevance(&row("k", 9)), "nothing");
        assert_eq!(relevance(&row("k", 10)), "news");
        assert_eq!(relevance(&row("other", 1)), "news");
        assert_eq!(
            relevance(&json!({"sessionKey":"k","reason":"delete"})),
            "news"
        );
    }

    #[test]
    fn a_change_of_no_session_in_particular_may_be_one_of_the_list() {
        assert_eq!(relevance(&json!({"reason":"delete","ts":1})), "news");
        assert_eq!(relevance(&json!({"reason":"sharing"})), "out of date");
        assert_eq!(relevance(&json!([])), "out of date");
    }
}
