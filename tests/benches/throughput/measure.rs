//! What a client measures of itself.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What a piece of work took. Seconds and bytes; `None` where this work or this system has no such figure.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Measured {
    /// All of it.
    pub(crate) seconds: Option<f64>,
    /// The processor's time that this process took for it.
    pub(crate) processor: Option<f64>,
    /// The median of its pieces.
    pub(crate) median: Option<f64>,
    /// The 99th of a hundred of its pieces.
    pub(crate) late: Option<f64>,
    /// What memory it holds at the end and did not before.
    pub(crate) bytes: Option<f64>,
}

impl Measured {
    /// The best of both, figure by figure.
    pub(crate) fn best(self, other: Self) -> Self {
        let least = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self {
            seconds: least(self.seconds, other.seconds),
            processor: least(self.processor, other.processor),
            median: least(self.median, other.median),
            late: least(self.late, other.late),
            bytes: least(self.bytes, other.bytes),
        }
    }
}

/// From here to there.
pub(crate) struct Watch {
    began: Instant,
    processor: Option<f64>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        Self {
            processor: processor_time(),
            began: Instant::now(),
        }
    }

    pub(crate) fn stop(self) -> Measured {
        let seconds = Some(self.began.elapsed().as_secs_f64());
        let processor = processor_time()
            .zip(self.processor)
            .map(|(now, then)| now - then);
        Measured {
            seconds,
            processor,
            ..Measured::default()
        }
    }
}

impl Measured {
    /// With how long its pieces took.
    pub(crate) fn of(self, mut pieces: Vec<Duration>) -> Self {
        pieces.sort_unstable();
        let at = |part: usize| {
            let piece = pieces.get(pieces.len() * part / 100);
            piece.map(Duration::as_secs_f64)
        };
        Self {
            median: at(50),
            late: at(99),
            ..self
        }
    }
}

/// What this process has had of the processor, in seconds, as Linux tells it.
fn processor_time() -> Option<f64> {
    let mut nanos = 0;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let path = thread.ok()?.path().join("schedstat");
        // A thread may have ended in between.
        let text = std::fs::read_to_string(path).unwrap_or_default();
        nanos += text
            .split(' ')
            .next()
            .and_then(|first| first.parse::<u64>().ok())
            .unwrap_or_default();
    }
    Some(Duration::from_nanos(nanos).as_secs_f64())
}

/// The memory this process holds, in bytes, as Linux tells it.
pub(crate) fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0)
}
