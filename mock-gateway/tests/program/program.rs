//! The program as a child process, and a client of it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The longest any single step may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running program, killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) port: u16,
}

fn command(state_dir: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw-mock-gateway"));
    command
        .args(["run", "--json", "--state-dir"])
        .arg(state_dir)
        .args(flags)
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("OPENCLAW_STATE_DIR")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Program {
    pub(crate) async fn start(state_dir: &Path, flags: &[&str]) -> Self {
        Self::start_with(state_dir, flags, &[]).await
    }

    /// Starts on a free port and waits until the program says it is ready.
    pub(crate) async fn start_with(
        state_dir: &Path,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = command(state_dir, &["--port", "0"])
            .args(flags)
            .envs(environment.iter().copied())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut program = Self {
            child,
            lines,
            port: 0,
        };
        program.ready().await;
        program
    }

    /// Reads up to the next ready line.
    pub(crate) async fn ready(&mut self) {
        let ready = timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let said: Value = serde_json::from_str(&line).unwrap();
                if said["event"] == "ready" {
                    return said;
                }
            }
            panic!("the program ended before it was ready");
        });
        let ready = ready.await.expect("a ready line");
        self.port = u16::try_from(ready["port"].as_u64().unwrap()).unwrap();
        assert_eq!(ready["url"], format!("ws://127.0.0.1:{}", self.port));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().unwrap().to_string();
        let sent = std::process::Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// Sends SIGTERM; the exit code.
    pub(crate) async fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        let status = timeout(PATIENCE, self.child.wait()).await;
        status.expect("the program ends").unwrap().code()
    }

    /// What it has said on stderr in its life.
    pub(crate) async fn banner(self) -> String {
        self.stop_and_listen().await.1
    }

    /// Sends SIGTERM; the exit code, and what it has said on stderr in its life.
    pub(crate) async fn stop_and_listen(mut self) -> (Option<i32>, String) {
        let mut stderr = self.child.stderr.take().unwrap();
        self.signal("TERM");
        let mut text = String::new();
        let end = timeout(PATIENCE, stderr.read_to_string(&mut text)).await;
        end.expect("the program ends").unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await;
        (status.expect("the program ends").unwrap().code(), text)
    }
}

/// Starts a program that must not run; its exit code and what it says about it.
pub(crate) async fn refused(state_dir: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let output = timeout(PATIENCE, command(state_dir, flags).output())
        .await
        .expect("the program ends")
        .unwrap();
    assert!(output.stdout.is_empty(), "it says that it is ready");
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// The token in `openclaw.json`.
pub(crate) fn token(state_dir: &Path) -> String {
    let text = fs::read_to_string(state_dir.join("openclaw.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let token = &config["gateway"]["auth"]["token"];
    assert_eq!(token, &config["gateway"]["remote"]["token"]);
    token.as_str().unwrap().to_owned()
}

/// Edits `openclaw.json`.
pub(crate) fn edit(state_dir: &Path, change: impl FnOnce(&mut Value)) {
    let path = state_dir.join("openclaw.json");
    let mut config = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(&path, config.to_string()).unwrap();
}

/// A device with its key.
pub(crate) struct Device {
    key: SigningKey,
}

impl Device {
    pub(crate) fn new(seed: u8) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
        }
    }

    pub(crate) fn id(&self) -> String {
        let digest = Sha256::digest(self.key.verifying_key().to_bytes());
        digest.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The `device` of a connect, for the client and scopes that sessions have here.
    fn signed(&self, challenge: &Value, token: &str) -> Value {
        let (id, ts, nonce) = (self.id(), &challenge["ts"], &challenge["nonce"]);
        let nonce = nonce.as_str().unwrap();
        let text =
            format!("v2|{id}|gateway-client|backend|operator|operator.read|{ts}|{token}|{nonce}");
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        json!({
            "id": id, "publicKey": URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes()),
            "signature": URL_SAFE_NO_PAD.encode(signature), "signedAt": ts, "nonce": nonce,
        })
    }
}

/// A backend, mostly without a device.
pub(crate) struct Session {
    socket: WebSocketStream<TcpStream>,
    /// The answer to its connect.
    pub(crate) hello: Value,
}

impl Session {
    /// Nothing is sent or read yet.
    pub(crate) async fn open(program: &Program) -> Self {
        Self::open_at(program, "127.0.0.1").await
    }

    /// As [`open`](Self::open), at another address of this host.
    pub(crate) async fn open_at(program: &Program, host: &str) -> Self {
        let address = format!("{host}:{}", program.port);
        let tcp = TcpStream::connect(&address).await.unwrap();
        let url = format!("ws://{address}/");
        let (socket, _) = tokio_tungstenite::client_async(url, tcp).await.unwrap();
        Self {
            socket,
            hello: Value::Null,
        }
    }

    pub(crate) async fn connect(program: &Program, token: &str) -> Self {
        Self::connect_with(program, token, None).await
    }

    pub(crate) async fn connect_as(program: &Program, token: &str, device: &Device) -> Self {
        Self::connect_with(program, token, Some(device)).await
    }

    async fn connect_with(program: &Program, token: &str, device: Option<&Device>) -> Self {
        let mut session = Self::open(program).await;
        let challenge = session.frame().await.expect("a challenge");
        let mut params = json!({
            "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"],
            "client": {
                "id": "gateway-client", "mode": "backend", "version": "1", "platform": "test",
            },
            "auth": {"token": token},
        });
        if let Some(device) = device {
            params["device"] = device.signed(&challenge["payload"], token);
        }
        let connect = json!({"type": "req", "id": "1", "method": "connect", "params": params});
        let text = connect.to_string();
        session.socket.send(Message::text(text)).await.unwrap();
        session.hello = session.frame().await.expect("an answer");
        session
    }

    /// Calls a method without parameters; events before the answer are passed over.
    pub(crate) async fn call(&mut self, method: &str) -> Value {
        let request = json!({"type": "req", "id": "2", "method": method, "params": {}});
        let text = request.to_string();
        self.socket.send(Message::text(text)).await.unwrap();
        loop {
            let frame = self.frame().await.expect("an answer");
            if frame["id"] == "2" {
                return frame;
            }
        }
    }

    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.hello["error"]["details"]["code"]
            .as_str()
            .unwrap_or("none")
    }

    pub(crate) async fn frame(&mut self) -> Option<Value> {
        let message = timeout(PATIENCE, self.socket.next())
            .await
            .expect("a frame");
        let text = message?.ok()?;
        serde_json::from_str(text.to_text().unwrap()).ok()
    }

    /// The payload of `shutdown`, and the close after it.
    pub(crate) async fn until_the_end(&mut self) -> (Value, (u16, String)) {
        let mut shutdown = Value::Null;
        loop {
            let message = timeout(PATIENCE, self.socket.next())
                .await
                .expect("a frame");
            match message {
                Some(Ok(Message::Close(Some(frame)))) => {
                    return (shutdown, (frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["event"] == "shutdown" {
                        shutdown = frame["payload"].clone();
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => panic!("cut off: {error}"),
                None => panic!("no close"),
            }
        }
    }
}
