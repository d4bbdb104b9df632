//! What every client is asked to do.

use serde::Deserialize;
use serde_json::Value;

/// How many calls are in flight at once.
pub(crate) const DEPTHS: [u64; 3] = [1, 64, 1024];

/// A tenth of this comes before, unmeasured: caches, and the compiler of Node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// So many calls of `health`, so many of them in flight, each answer read as JSON.
    Calls { in_flight: u64, count: u64 },
    /// So many events handed to a consumer, who reads each payload: as a tree of JSON values, or as a
    /// type that has what it needs. For a client in JavaScript the two are one.
    Events { as_type: bool, count: u64 },
    /// So many connections, one after the other, with an identity that is there already.
    Dials { count: u64 },
    /// So many connections, held.
    Memory { count: u64 },
}

impl Work {
    pub(crate) const fn calls(in_flight: u64) -> Self {
        let count = if in_flight == 1 { 10_000 } else { 60_000 };
        Self::Calls { in_flight, count }
    }

    pub(crate) const fn events(as_type: bool) -> Self {
        let count = 300_000;
        Self::Events { as_type, count }
    }

    pub(crate) const fn dials() -> Self {
        Self::Dials { count: 200 }
    }

    pub(crate) const fn memory() -> Self {
        Self::Memory { count: 1000 }
    }

    pub(crate) const fn count(self) -> u64 {
        match self {
            Self::Calls { count, .. }
            | Self::Events { count, .. }
            | Self::Dials { count }
            | Self::Memory { count } => count,
        }
    }

    /// As words: `calls COUNT IN_FLIGHT`, `events COUNT`, `typed COUNT`, `dials COUNT`, `memory COUNT`.
    pub(crate) fn arguments(self) -> Vec<String> {
        let name = match self {
            Self::Calls { .. } => "calls",
            Self::Events { as_type: false, .. } => "events",
            Self::Events { as_type: true, .. } => "typed",
            Self::Dials { .. } => "dials",
            Self::Memory { .. } => "memory",
        };
        let mut words = vec![name.to_owned(), self.count().to_string()];
        if let Self::Calls { in_flight, .. } = self {
            words.push(in_flight.to_string());
        }
        words
    }

    pub(crate) fn read(words: &[String]) -> Option<Self> {
        let number = |at: usize| words.get(at)?.parse::<u64>().ok();
        let count = number(1)?;
        Some(match words.first()?.as_str() {
            "calls" => Self::Calls {
                in_flight: number(2)?,
                count,
            },
            kind @ ("events" | "typed") => Self::Events {
                as_type: kind == "typed",
                count,
            },
            "dials" => Self::Dials { count },
            "memory" => Self::Memory { count },
            _ => return None,
        })
    }
}

/// What a consumer reads an event's payload as.
pub(crate) trait Payload: for<'de> Deserialize<'de> {
    /// Its number.
    fn seq(&self) -> u64;
}

impl Payload for Value {
    fn seq(&self) -> u64 {
        self["seq"].as_u64().unwrap()
    }
}

/// What a backend needs of a piece of an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Piece {
    run_id: String,
    session_key: String,
    seq: u64,
    data: Text,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    delta: String,
}

impl Payload for Piece {
    fn seq(&self) -> u64 {
        let all = [
            &self.run_id,
            &self.session_key,
            &self.data.text,
            &self.data.delta,
        ];
        assert!(all.iter().all(|text| !text.is_empty()));
        self.seq
    }
}
