//! Who is listed in presence, and for how long.

use std::collections::HashMap;

use serde_json::Value;

use crate::edition::Edition;
use crate::edition::hello::presence_self;

/// A row is listed so long after its last change; read in the code of both editions.
const TTL_MS: u64 = 5 * 60 * 1000;
/// More rows than this, the gateway's own among them, are not kept; read in the code of both editions.
const MAX_ROWS: usize = 200;

/// The name under which the mock appears in presence and hello-ok.
pub(crate) const HOST_NAME: &str = "mock-gateway";

/// The rows of presence.
#[derive(Debug)]
pub(crate) struct Presence {
    own: Value,
    rows: HashMap<String, Row>,
    /// Whether a row lives as long as its connection.
    renews: bool,
    /// Changes so far.
    changes: u64,
    pub(crate) version: u64,
}

#[derive(Debug)]
struct Row {
    at: u64,
    /// The latest of two changes in one millisecond.
    change: u64,
    shown: Value,
}

impl Presence {
    pub(crate) fn new(edition: Edition, boot_id: &str, now: u64) -> Self {
        Self {
            own: presence_self(edition, HOST_NAME, boot_id, now),
            rows: HashMap::new(),
            renews: edition.facts().renews_presence,
            changes: 0,
            version: 1,
        }
    }

    /// A client came.
    pub(crate) fn join(&mut self, key: &str, row: Value, now: u64) {
        self.put(key, row, now);
        if self.rows.len() < MAX_ROWS {
            return;
        }
        let oldest = self.rows.iter();
        let oldest = oldest.min_by_key(|(_, row)| (row.at, row.change));
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            self.rows.remove(&oldest);
        }
    }

    /// A client went; whether it was listed.
    pub(crate) fn leave(&mut self, key: &str, now: u64) -> bool {
        let Some(row) = self.rows.remove(key) else {
            return false;
        };
        let mut shown = row.shown;
        shown["reason"] = "disconnect".into();
        shown["ts"] = now.into();
        self.put(key, shown, now);
        true
    }

    fn put(&mut self, key: &str, shown: Value, now: u64) {
        self.version += 1;
        self.changes += 1;
        let row = Row {
            at: now,
            change: self.changes,
            shown,
        };
        self.rows.insert(key.to_owned(), row);
    }

    /// The rows, the latest first.
    pub(crate) fn list(&mut self, now: u64) -> Value {
        let renews = self.renews;
        self.rows.retain(|_, row| {
            let is_here = renews && row.shown["reason"] != "disconnect";
            is_here || now.saturating_sub(row.at) <= TTL_MS
        });
        self.own["ts"] = now.into();
        let mut rows: Vec<&Row> = self.rows.values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.at, row.change)));
        let own = std::iter::once(&self.own);
        own.chain(rows.iter().map(|row| &row.shown))
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listed(presence: &mut Presence, now: u64) -> Vec<String> {
        let list = presence.list(now);
        let rows = list.as_array().expect("a list").iter().skip(1);
        rows.map(|row| row["host"].as_str().expect("a name").to_owned())
            .collect()
    }

    #[test]
    fn a_crowd_pushes_the_oldest_rows_out() {
        let mut presence = Presence::new(Edition::V2026_2_9, "b", 0);
        for number in 0..1000 {
            let row = json!({"host": number.to_string(), "reason": "connect"});
            presence.join(&number.to_string(), row, 5);
        }
        let rows = listed(&mut presence, 5);
        assert_eq!(rows.len(), MAX_ROWS - 1);
        assert_eq!((rows[0].as_str(), rows[198].as_str()), ("999", "801"));
        assert!(!presence.leave("7", 6));
        assert!(presence.leave("801", 6));
        assert_eq!(listed(&mut presence, 6)[0], "801");
    }

    #[test]
    fn rows_end_with_their_time_or_with_their_connection() {
        for (edition, stays) in [(Edition::V2026_2_9, false), (Edition::V2026_9_6, true)] {
            let mut presence = Presence::new(edition, "b", 0);
            for name in ["here", "gone"] {
                presence.join(name, json!({"host": name, "reason": "connect"}), 0);
            }
            assert!(presence.leave("gone", 1));
            assert_eq!(listed(&mut presence, TTL_MS), ["gone", "here"]);
            let late = listed(&mut presence, TTL_MS + 2);
            assert_eq!(late == ["here"], stays, "{edition}: {late:?}");
        }
    }
}
