//! Every recorded run of both generations, played to the tracker frame by frame.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::protocol::GatewayError;
use crate::run::answer::{self, Ack, WaitAnswer};

/// One line of a recording.
#[derive(Clone, Debug, serde::Deserialize)]
struct Line {
    at: u64,
    c: String,
    what: String,
    #[serde(default)]
    method: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    run: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    error: Option<GatewayError>,
    #[serde(default)]
    protocol: u32,
    #[serde(default)]
    boot: Value,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/runs")
}

fn lines(path: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Compares two connections: `true` if they lead to different processes.
fn is_restart(before: (u64, &Value), now: (u64, &Value)) -> bool {
    match (before.1.as_u64(), now.1.as_u64()) {
        (Some(then), Some(up)) => up + 2_000 < then + (now.0 - before.0),
        _ => before.1 != now.1,
    }
}

struct Player<'a> {
    lines: &'a [Line],
    send: &'a Line,
    tracker: Tracker,
    zero: Instant,
    /// The connection that is ours.
    mine: Option<String>,
    hello: (u64, Value),
    answers: u32,
    asked: Option<Action>,
    last_wait: Option<Value>,
    last_history: Option<Value>,
    streamed: String,
    outcome: Option<RunOutcome>,
}

impl<'a> Player<'a> {
    fn new(lines: &'a [Line], send: &'a Line, zero: Instant) -> Self {
        let run_id = send.run.clone().unwrap().trim().to_owned();
        let hello = lines
            .iter()
            .rfind(|line| line.what == "hello" && line.c == send.c && line.at <= send.at)
            .unwrap();
        let now = zero + Duration::from_millis(send.at);
        let mut tracker = Tracker::new(
            Start {
                kind: if send.method == "agent" {
                    Kind::Agent
                } else {
                    Kind::Chat
                },
                run_id,
                message: send.message.clone(),
                ..start(Kind::Chat)
            },
            Some(hello.protocol),
            now,
        );
        assert_eq!(tracker.next_action(now), Some(Action::Send));
        Self {
            lines,
            send,
            tracker,
            zero,
            mine: Some(send.c.clone()),
            hello: (hello.at, hello.boot.clone()),
            answers: 0,
            asked: None,
            last_wait: None,
            last_history: None,
            streamed: String::new(),
            outcome: None,
        }
    }

    fn now(&self, at: u64) -> Instant {
        self.zero + Duration::from_millis(at)
    }

    fn run(&self) -> &str {
        &self.tracker.start.run_id
    }

    fn play(mut self) -> (String, RunOutcome) {
        let from = self
            .lines
            .iter()
            .position(|line| std::ptr::eq(line, self.send))
            .unwrap();
        let mut at = self.send.at;
        for line in &self.lines[from + 1..] {
            while at + 250 < line.at {
                at += 250;
                self.tick(at);
            }
            at = line.at;
            self.take(line);
            self.tick(at);
        }
        // The recording is over; what is asked now finds what it left.
        for _ in 0..40_000 {
            if self.outcome.is_some() {
                break;
            }
            at += 250;
            let now = self.now(at);
            match self.asked.take() {
                Some(Action::Wait(_)) => {
                    let wait = self
                        .last_wait
                        .clone()
                        .unwrap_or_else(|| json!({"status":"timeout"}));
                    self.tracker.on_wait_answer(now, answer::wait_answer(&wait));
                }
                Some(Action::History) => match self.last_history.clone() {
                    Some(history) => self.tracker.on_history(now, &history),
                    None => self.tracker.on_history_failed(now),
                },
                Some(Action::Send) => panic!("{} was sent twice", self.run()),
                None => {}
            }
            self.tick(at);
        }
        let streamed = self.streamed;
        (streamed, self.outcome.expect("no outcome"))
    }

    /// `true` if a connection is made after this line.
    fn is_followed_on(&self, line: &Line) -> bool {
        let after = |other: &&Line| other.at >= line.at && other.what == "hello";
        self.lines.iter().any(|other| after(&other))
    }

    fn tick(&mut self, at: u64) {
        let now = self.now(at);
        self.tracker.on_tick(now);
        if let Some(ask) = self.tracker.next_action(now) {
            self.asked = Some(ask);
        }
        if let Some(outcome) = drain(&mut self.tracker, &mut self.streamed) {
            assert!(self.outcome.is_none(), "{}: a second outcome", self.run());
            self.outcome = Some(outcome);
        }
    }

    fn take(&mut self, line: &Line) {
        let now = self.now(line.at);
        let is_mine = self.mine.as_deref() == Some(&*line.c);
        let is_run = line.run.as_deref().map(str::trim) == Some(self.run());
        let is_session = line.session == self.send.session;
        match &*line.what {
            // The last close is only the recorder going home.
            "close" if is_mine && self.is_followed_on(line) => {
                self.mine = None;
                self.asked = None;
                self.tracker.on_disconnected(now, None);
            }
            "hello" if self.mine.is_none() => {
                let restarted = is_restart((self.hello.0, &self.hello.1), (line.at, &line.boot));
                self.mine = Some(line.c.clone());
                self.hello = (line.at, line.boot.clone());
                self.tracker.on_connected(now, line.protocol, restarted);
            }
            "event"
                if is_mine
                    && line.payload["runId"]
                        .as_str()
                        .or_else(|| line.payload["request"]["runId"].as_str())
                        == Some(self.run()) =>
            {
                let seq = line.payload["seq"].as_i64();
                if let Some(event) = event::read(&line.name, &line.payload) {
                    self.tracker.on_event(now, seq, event);
                }
            }
            "answer" if line.c == self.send.c && line.id == self.send.id => {
                self.answers += 1;
                let protocol = self.tracker.link.protocol();
                if self.answers > 1 {
                    let verdict =
                        answer::final_answer(&line.payload, line.error.as_ref(), protocol);
                    self.tracker.on_final_answer(now, verdict);
                } else if let Some(ack) = answer::ack(&line.payload, line.error.as_ref(), protocol)
                {
                    let due = line.method == "agent" && ack == Ack::Accepted;
                    self.tracker.on_ack(now, ack, due);
                } else {
                    let error = Error::Call {
                        method: "agent".into(),
                        error: line.error.clone().unwrap().into(),
                        payload: None,
                    };
                    self.tracker.on_send_failed(now, error, false);
                }
            }
            "wait" if is_mine && is_run => {
                self.last_wait = Some(line.payload.clone());
                let waited = answer::wait_answer(&line.payload);
                if matches!(self.asked, Some(Action::Wait(_))) && waited != WaitAnswer::Running {
                    self.asked = None;
                    self.tracker.on_wait_answer(now, waited);
                }
            }
            "history" if is_mine && is_session => {
                self.last_history = Some(line.payload.clone());
                if self.asked == Some(Action::History) {
                    self.asked = None;
                    self.tracker.on_history(now, &line.payload);
                }
            }
            "abort" if is_mine && is_session && (line.run.is_none() || is_run) => {
                self.tracker.on_abort_requested();
            }
            "aborted" if is_mine && is_session => {
                let runs = line.payload["runIds"].as_array().unwrap();
                if runs.iter().any(|run| run == self.run()) {
                    self.tracker.on_aborted(now);
                }
            }
            _ => {}
        }
    }
}

fn play_all() -> BTreeMap<String, String> {
    let mut outcomes = BTreeMap::new();
    let zero = Instant::now();
    for version in ["2026.9.6", "2026.2.9"] {
        for entry in std::fs::read_dir(folder().join(version)).unwrap() {
            let path = entry.unwrap().path();
            let lines = lines(&path);
            let mut seen = Vec::new();
            for send in lines.iter().filter(|line| line.what == "send") {
                let key = (send.method.clone(), send.run.clone());
                if seen.contains(&key) {
                    continue;
                }
                seen.push(key);
                let (streamed, outcome) = Player::new(&lines, send, zero).play();
                if let RunOutcome::Done { text, .. } = &outcome {
                    assert_eq!(*text, streamed, "{path:?}");
                }
                let recording = path.file_stem().unwrap().to_str().unwrap();
                let number = recording.split('-').next().unwrap();
                let run = send.run.as_deref().unwrap();
                let run = run.trim_end_matches(|c: char| c.is_ascii_digit());
                let name = format!(
                    "{version} {number} {} {}",
                    send.method,
                    run.trim_end_matches('-')
                );
                let by = match &outcome {
                    RunOutcome::Done {
                        answered_by: Some(_),
                        ..
                    } => " by another run",
                    _ => "",
                };
                let kind = outcome.kind();
                outcomes.insert(name, format!("{kind}{by} {:?}", outcome.text()));
            }
        }
    }
    outcomes
}

#[test]
fn every_recorded_run_ends_as_the_recording_shows() {
    let expected = std::fs::read_to_string(folder().join("outcomes.txt")).unwrap();
    let mut lines = String::new();
    for (name, outcome) in play_all() {
        writeln!(lines, "{name} => {outcome}").unwrap();
    }
    assert_eq!(lines, expected);
}
