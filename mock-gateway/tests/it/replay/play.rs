//! The recorded client side against the mock: each frame is sent once all that was recorded before it came.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt as _;
use futures_util::stream::{SplitSink, StreamExt as _};
use openclaw_mock_gateway::{Edition, Locality, MockGateway};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::compare::{Comparison, Ids};
use super::lanes::{Item, Lane, Lanes};
use super::model::script;
use super::recording::{Recording, What};
use super::{Entry, NEW};
use crate::client::{Ask, Client, Device, Got, paired};

/// Longer than any recording, on virtual time.
const PATIENCE: Duration = Duration::from_secs(400);
/// Lanes whose frames come when a timer of the gateway says so: no client waits for them.
const UNHURRIED: [&str; 3] = ["task ", "sessions.changed ", "cron"];

struct Connection {
    sink: SplitSink<WebSocketStream<DuplexStream>, Message>,
    reader: JoinHandle<()>,
}

pub(super) struct Stage<'a> {
    entry: &'a Entry,
    edition: Edition,
    recording: Recording,
    gateway: Arc<MockGateway>,
    device: Device,
    stopping: Option<JoinHandle<()>>,
    connections: HashMap<usize, Connection>,
    incoming: mpsc::UnboundedReceiver<(usize, Got)>,
    sender: mpsc::UnboundedSender<(usize, Got)>,
    keys: Vec<String>,
    ids: Ids,
    recorded: HashMap<usize, Lanes>,
    got: HashMap<usize, Lanes>,
    ended: HashMap<usize, Got>,
    compared: HashMap<(usize, String), usize>,
    complaints: Vec<String>,
}

fn parse(message: Message) -> Option<Got> {
    match message {
        Message::Text(text) => Some(Got::Frame(serde_json::from_str(&text).expect("JSON"))),
        Message::Close(Some(close)) => {
            Some(Got::Closed(close.code.into(), close.reason.to_string()))
        }
        _ => None,
    }
}

impl<'a> Stage<'a> {
    async fn new(edition: Edition, entry: &'a Entry) -> Stage<'a> {
        let recording = Recording::read(edition, entry.name);
        let gateway = MockGateway::builder()
            .edition(edition)
            .token("t0ken")
            .strict(false)
            .startup_delay(entry.startup)
            .build();
        sleep(entry.startup).await;
        gateway.script_runs(move |request| script(edition, request));
        let device = Device::new(1);
        if edition != NEW {
            pair_with_everything(&gateway, &device).await;
        }
        let (sender, incoming) = mpsc::unbounded_channel();
        Self {
            entry,
            edition,
            keys: recording.keys(),
            recording,
            gateway: Arc::new(gateway),
            device,
            stopping: None,
            connections: HashMap::new(),
            incoming,
            sender,
            ids: Ids::default(),
            recorded: HashMap::new(),
            got: HashMap::new(),
            ended: HashMap::new(),
            compared: HashMap::new(),
            complaints: Vec::new(),
        }
    }

    async fn open(&mut self, connection: usize, frame: &Value) {
        let params = &frame["params"];
        let list = |name: &str| -> Vec<String> {
            let list = params[name].as_array().cloned().unwrap_or_default();
            list.iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        let (scopes, caps) = (list("scopes"), list("caps"));
        let protocol = |name: &str| {
            let number = params[name].as_u64().expect("a protocol");
            u32::try_from(number).expect("a protocol")
        };
        let client = Client::dial(&self.gateway, Locality::Local).await;
        let mut ask = Ask::new(&self.gateway, &self.device);
        ask.scopes = scopes.iter().map(String::as_str).collect();
        ask.caps = caps.iter().map(String::as_str).collect();
        ask.protocol = (protocol("minProtocol"), protocol("maxProtocol"));
        if params["device"] != true {
            ask = ask.without_device();
        }
        let mut connect = json!({
            "type": "req", "id": frame["id"], "method": "connect",
            "params": ask.params(&client.challenge),
        });
        connect["params"]["client"]["displayName"] = "recorder".into();
        let (mut sink, mut stream) = client.into_socket().split();
        let sender = self.sender.clone();
        let reader = tokio::spawn(async move {
            let got = |got| sender.send((connection, got)).is_ok();
            while let Some(Ok(message)) = stream.next().await {
                if let Some(message) = parse(message)
                    && !got(message)
                {
                    return;
                }
            }
            got(Got::Lost);
        });
        sink.send(Message::text(connect.to_string()))
            .await
            .expect("sent");
        self.connections
            .insert(connection, Connection { sink, reader });
    }

    async fn send(&mut self, connection: usize, message: Message) {
        let connection = self.connections.get_mut(&connection).expect("open");
        connection.sink.send(message).await.expect("sent");
    }

    fn take(&mut self, connection: usize, got: Got) {
        match got {
            Got::Frame(mut frame) => {
                if frame["payload"]["type"] == "hello-ok" {
                    frame["payload"] = json!({"type": "hello-ok"});
                }
                let lanes = self.got.entry(connection).or_default();
                lanes.unseen = self.entry.unseen;
                lanes.add(&frame, &self.keys, |text| self.ids.theirs(text));
                if frame["type"] == "res" {
                    // It may name what the events after it are about.
                    self.compare();
                }
            }
            end => {
                self.ended.entry(connection).or_insert(end);
            }
        }
    }

    /// Lanes that are not as far as the recording is.
    fn behind(&self, of: Option<usize>) -> Vec<(usize, String)> {
        let none = Lanes::default();
        let mut behind = Vec::new();
        for (connection, recorded) in &self.recorded {
            let got = self.got.get(connection).unwrap_or(&none);
            for (name, lane) in &recorded.by_name {
                if self.is_skipped(name) {
                    continue;
                }
                let hurried = !UNHURRIED
                    .iter()
                    .any(|unhurried| name.starts_with(unhurried));
                if !hurried && of != Some(*connection) {
                    continue;
                }
                let reached = got
                    .by_name
                    .get(name)
                    .is_some_and(|got| got.reached(lane.mark()));
                if !reached {
                    behind.push((*connection, name.clone()));
                }
            }
        }
        behind
    }

    /// Waits until the mock is as far as the recording, and compares.
    async fn catch_up(&mut self, of: Option<usize>) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Ok((connection, got)) = self.incoming.try_recv() {
                self.take(connection, got);
            }
            // What was answered tells which id stands for which, and so which lane is which.
            self.compare();
            let behind = self.behind(of);
            if behind.is_empty() {
                return true;
            }
            match timeout_at(deadline, self.incoming.recv()).await {
                Ok(Some((connection, got))) => self.take(connection, got),
                Ok(None) => unreachable!("the stage holds a sender"),
                Err(_) => {
                    for (connection, lane) in behind {
                        self.missing(connection, &lane);
                    }
                    return false;
                }
            }
        }
    }

    fn is_skipped(&self, lane: &str) -> bool {
        self.entry.skips.iter().any(|skip| lane.starts_with(skip))
    }

    fn label(&self, connection: usize) -> String {
        format!("{}#{connection}", self.recording.labels[connection])
    }

    fn missing(&mut self, connection: usize, lane: &str) {
        let label = self.label(connection);
        let items = |lanes: Option<&Lanes>| {
            lanes
                .and_then(|lanes| lanes.by_name.get(lane))
                .map_or_else(String::new, |lane| outline(&lane.items))
        };
        let recorded = items(self.recorded.get(&connection));
        let got = items(self.got.get(&connection));
        self.complaints.push(format!(
            "{label} {lane}: recorded\n{recorded}  but got\n{got}"
        ));
    }

    fn compare(&mut self) {
        let mut comparison = Comparison {
            ids: &mut self.ids,
            asides: self.entry.asides,
            complaints: Vec::new(),
        };
        for (connection, recorded) in &self.recorded {
            let Some(got) = self.got.get(connection) else {
                continue;
            };
            for (name, lane) in &recorded.by_name {
                if self.entry.skips.iter().any(|skip| name.starts_with(skip)) {
                    continue;
                }
                let Some(ours) = got.by_name.get(name) else {
                    continue;
                };
                let done = self
                    .compared
                    .entry((*connection, name.clone()))
                    .or_default();
                while *done < settled(lane) && *done < settled(ours) {
                    let path =
                        format!("{}#{connection} {name}", self.recording.labels[*connection]);
                    comparison.items(&path, &lane.items[*done], &ours.items[*done]);
                    *done += 1;
                }
            }
        }
        let complaints = comparison.complaints;
        self.complaints.extend(complaints);
    }

    /// What the mock sent on a connection that the real gateway did not.
    fn extras(&mut self, connection: usize) {
        let none = Lanes::default();
        let recorded = self.recorded.get(&connection).unwrap_or(&none);
        let Some(got) = self.got.get(&connection) else {
            return;
        };
        let mut complaints: Vec<String> = got.seq_complaint.iter().cloned().collect();
        let names: BTreeSet<&String> = got.by_name.keys().collect();
        for name in names {
            if self.is_skipped(name) {
                continue;
            }
            let known = recorded
                .by_name
                .get(name)
                .map_or(0, |lane| lane.items.len());
            let lane = &got.by_name[name];
            if lane.items.len() > known
                && !self.entry.more.iter().any(|more| name.starts_with(more))
            {
                let outline = outline(&lane.items[known..]);
                complaints.push(format!("{name}: besides what was recorded\n{outline}"));
            }
        }
        let label = self.label(connection);
        let complaints = complaints
            .into_iter()
            .map(|complaint| format!("{label} {complaint}"));
        self.complaints.extend(complaints);
    }

    async fn end(&mut self, connection: usize, code: u16, reason: &str, dropped: bool) {
        match code {
            1000 | 1006 if code == 1000 || dropped => {
                self.extras(connection);
                let mut gone = self.connections.remove(&connection).expect("open");
                gone.reader.abort();
                if !dropped {
                    // The mock may have closed already, which the recording would have said.
                    let _ = gone.sink.close().await;
                }
            }
            _ => {
                let deadline = Instant::now() + PATIENCE;
                while !self.ended.contains_key(&connection) {
                    match timeout_at(deadline, self.incoming.recv()).await {
                        Ok(Some((of, got))) => self.take(of, got),
                        _ => break,
                    }
                }
                self.compare();
                self.extras(connection);
                let wanted = match code {
                    1006 => Got::Lost,
                    code => Got::Closed(code, reason.to_owned()),
                };
                let ended = self.ended.get(&connection);
                if ended != Some(&wanted) {
                    let label = self.label(connection);
                    self.complaints.push(format!(
                        "{label}: ended with {ended:?} instead of {wanted:?}"
                    ));
                }
                self.connections.remove(&connection);
            }
        }
    }

    async fn refused(&mut self, status: u16) {
        match Client::dial_quietly(&self.gateway, Locality::Local, &[]).await {
            Err(Error::Http(response)) if response.status().as_u16() == status => {}
            Err(error) => self.complaints.push(format!("{error} instead of {status}")),
            Ok(_) => self.complaints.push(format!("let in instead of {status}")),
        }
    }

    /// What the recorder did to the gateway.
    async fn obey(&mut self, connection: usize, note: &str) {
        if note.starts_with("binary frame") {
            let frame = json!({"type": "req", "id": "bin1", "method": "health"});
            let bytes = frame.to_string().into_bytes();
            self.send(connection, Message::binary(bytes)).await;
        } else if note.starts_with("SIGTERM") {
            let gateway = Arc::clone(&self.gateway);
            self.stopping = Some(tokio::spawn(async move { gateway.stop().await }));
            tokio::task::yield_now().await;
        } else if note.starts_with("SIGKILL") {
            self.gateway.kill();
        } else if note.starts_with("the gateway process is gone") {
            if let Some(stopping) = self.stopping.take() {
                stopping.await.expect("stopped");
            }
            self.gateway.start_again().await.expect("started again");
        }
    }

    async fn play(&mut self) {
        let steps = std::mem::take(&mut self.recording.steps);
        let mut note = String::new();
        let mut last = 0;
        for step in &steps {
            let pause = step.at - std::mem::replace(&mut last, step.at);
            let connection = step.connection;
            if let What::Comes(frame) = &step.what {
                if !self.is_foreign(frame) {
                    let lanes = self.recorded.entry(connection).or_default();
                    lanes.unseen = self.entry.unseen;
                    lanes.add(frame, &self.keys, str::to_owned);
                }
                continue;
            }
            let ends = matches!(step.what, What::Ends(..)).then_some(connection);
            if !self.catch_up(ends).await {
                return;
            }
            // What goes on in the meantime takes its time.
            sleep(Duration::from_millis(pause)).await;
            match &step.what {
                What::Opens(frame) => self.open(connection, frame).await,
                What::Refused(status) => self.refused(*status).await,
                What::Sends(frame) => {
                    let frame = self.ids.translate(frame);
                    self.send(connection, Message::text(frame.to_string()))
                        .await;
                }
                What::SendsRaw(raw) => self.send(connection, Message::text(raw.as_str())).await,
                What::Ends(code, reason) => {
                    let dropped = note.contains("without a close frame");
                    self.end(connection, *code, reason, dropped).await;
                }
                What::Note(text) => {
                    note.clone_from(text);
                    self.obey(connection, text).await;
                }
                What::Comes(_) => {}
            }
        }
    }

    /// Frames about what happened before the recording began.
    fn is_foreign(&self, frame: &Value) -> bool {
        let payload = &frame["payload"];
        let session = &payload["sessionKey"];
        let about = payload["runId"]
            .as_str()
            .or_else(|| payload["task"]["runId"].as_str())
            .or_else(|| payload["requestId"].as_str())
            .or_else(|| {
                session
                    .as_str()
                    .filter(|_| frame["event"] == "sessions.changed")
            });
        about.is_some_and(|about| {
            self.entry
                .foreign
                .iter()
                .any(|foreign| about.starts_with(foreign))
        })
    }
}

/// Items that will not change any more: text may still grow while it is the last.
fn settled(lane: &Lane) -> usize {
    match lane.items.last() {
        Some(Item::Text { .. }) => lane.items.len() - 1,
        _ => lane.items.len(),
    }
}

fn outline(items: &[Item]) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        let (frame, more) = match item {
            Item::Frame(frame) => (frame, String::new()),
            Item::Text { first, .. } => {
                (first, format!(" … {:?}", item.text().unwrap_or_default()))
            }
        };
        let payload = &frame["payload"];
        let words = [
            &frame["event"],
            &payload["stream"],
            &payload["state"],
            &payload["data"]["phase"],
            &payload["phase"],
            &payload["reason"],
            &payload["status"],
            &frame["ok"],
            &frame["error"],
            &payload["seq"],
        ];
        let words: Vec<String> = words
            .into_iter()
            .filter(|word| !word.is_null())
            .map(Value::to_string)
            .collect();
        let _ = writeln!(text, "    {}{more}", words.join(" "));
        text
    })
}

/// The old generation's recorder had a device that may do everything.
async fn pair_with_everything(gateway: &MockGateway, device: &Device) {
    paired(gateway, device).await;
    let scopes = [
        "operator.admin",
        "operator.approvals",
        "operator.pairing",
        "operator.read",
        "operator.write",
    ];
    let mut ask = Ask::new(gateway, device);
    ask.scopes = scopes.to_vec();
    crate::client::attempt(gateway, Locality::Remote, &ask).await;
    if let Some(pending) = gateway.pending().first() {
        gateway.approve(&pending.request_id).expect("approved");
    }
}

/// Replays a recording; fails with every difference.
pub(super) async fn replay(edition: Edition, entry: &Entry) {
    let mut stage = Stage::new(edition, entry).await;
    stage.play().await;
    assert!(
        stage.complaints.is_empty(),
        "{} {}: {} differences\n{}",
        stage.edition,
        entry.name,
        stage.complaints.len(),
        stage.complaints.join("\n"),
    );
}
