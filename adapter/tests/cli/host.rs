//! A host with a home of its own, and the program run on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use openclaw_mock_gateway::MockGateway;
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::net::TcpSocket;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A host: nothing of the developer's own environment reaches the programs on it.
pub(crate) struct Host {
    dir: TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program's state directory; the program makes it.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn program(&self, arguments: &[&str]) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_openclaw-adapter"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("OPENCLAW_ADAPTER_STATE_DIR", self.state_dir())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Program {
            command,
            secrets: Vec::new(),
        }
    }
}

/// A port on which nobody listens. It is held, so that no gateway of a test beside this one gets it.
pub(crate) struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub(crate) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self(socket)
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.0.local_addr().unwrap())
    }
}

/// The program about to be started.
pub(crate) struct Program {
    command: Command,
    /// What must not be printed.
    secrets: Vec<String>,
}

impl Program {
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The token, in the variable.
    pub(crate) fn token(mut self, token: &str) -> Self {
        self.secrets.push(token.to_owned());
        self.env("OPENCLAW_GATEWAY_TOKEN", token)
    }

    /// The token, in a file.
    pub(crate) fn token_file(self, path: &Path) -> Self {
        self.env("OPENCLAW_GATEWAY_TOKEN_FILE", path)
    }

    pub(crate) fn url(self, url: &str) -> Self {
        self.env("OPENCLAW_GATEWAY_URL", url)
    }

    /// On another host than the gateway's, with its token.
    pub(crate) fn remote(self, gateway: &MockGateway) -> Self {
        self.url(&gateway.url()).token(&gateway.token())
    }

    /// On the gateway's own host, with its token.
    pub(crate) fn local(self, gateway: &MockGateway) -> Self {
        self.url(&gateway.local_url()).token(&gateway.token())
    }

    pub(crate) fn stdin(mut self, file: &Path) -> Self {
        self.command.stdin(fs::File::open(file).unwrap());
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let mut child = self.command.spawn().unwrap();
        let printed = Arc::new(Mutex::new(Printed::default()));
        let (changed, seen) = watch::channel(());
        let reader = tokio::spawn(read(
            child.stdout.take().unwrap(),
            child.stderr.take().unwrap(),
            Arc::clone(&printed),
            changed,
        ));
        Running {
            child,
            printed,
            reader,
            secrets: self.secrets,
            seen,
            cursor: 0,
        }
    }

    /// Runs it to its end.
    pub(crate) async fn run(self) -> Ended {
        self.start().ended().await
    }
}

#[derive(Default)]
struct Printed {
    stdout: Vec<String>,
    stderr: Vec<String>,
    over: bool,
}

fn lock(printed: &Mutex<Printed>) -> MutexGuard<'_, Printed> {
    printed.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read(
    stdout: impl AsyncRead + Unpin,
    stderr: impl AsyncRead + Unpin,
    printed: Arc<Mutex<Printed>>,
    changed: watch::Sender<()>,
) {
    let out = async {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            lock(&printed).stdout.push(line);
            changed.send_replace(());
        }
    };
    let err = async {
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            lock(&printed).stderr.push(line);
            changed.send_replace(());
        }
    };
    tokio::join!(out, err);
    lock(&printed).over = true;
    changed.send_replace(());
}

/// A running program. It is killed when dropped.
pub(crate) struct Running {
    child: Child,
    printed: Arc<Mutex<Printed>>,
    reader: JoinHandle<()>,
    secrets: Vec<String>,
    seen: watch::Receiver<()>,
    cursor: usize,
}

impl Running {
    /// The next line of this state after the last one waited for.
    pub(crate) async fn state(&mut self, wanted: &str) -> Value {
        self.line(wanted, |line| line["state"] == wanted).await
    }

    /// The next line that is wanted after the last one waited for.
    pub(crate) async fn line(&mut self, wanted: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let waiting = async {
            loop {
                self.seen.borrow_and_update();
                {
                    let printed = lock(&self.printed);
                    while let Some(line) = printed.stdout.get(self.cursor) {
                        self.cursor += 1;
                        let line = json(line);
                        if is_it(&line) {
                            return line;
                        }
                    }
                    assert!(
                        !printed.over,
                        "ended before `{wanted}`:\n{}\n{}",
                        printed.stdout.join("\n"),
                        printed.stderr.join("\n")
                    );
                }
                let _ = self.seen.changed().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("no `{wanted}` in time: {:?}", lock(&self.printed).stdout))
    }

    /// What stands in the process table for everybody to see.
    pub(crate) fn command_line(&self) -> String {
        let id = self.child.id().unwrap();
        let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    pub(crate) async fn signal(&self, name: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("sh")
            .args(["-c", "kill -s \"$0\" \"$1\"", name, &id])
            .status()
            .await
            .unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("has not ended: {:?}", lock(&self.printed).stdout))
            .unwrap();
        // The lines are read to their end before anybody counts them.
        self.reader.await.unwrap();
        let printed = std::mem::take(&mut *lock(&self.printed));
        let ended = Ended {
            code: status.code(),
            stdout: printed.stdout,
            stderr: printed.stderr.join("\n"),
        };
        for secret in &self.secrets {
            ended.hides(secret);
        }
        ended
    }
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; nothing after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
}

impl Ended {
    /// All of stdout is JSON, one object per line; these are the objects.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.stdout.iter().map(|line| json(line)).collect()
    }

    /// The names of the states, in order.
    pub(crate) fn states(&self) -> Vec<String> {
        let name = |line: &Value| line["state"].as_str().unwrap().to_owned();
        self.lines().iter().map(name).collect()
    }

    pub(crate) fn last(&self) -> Value {
        self.lines().pop().unwrap()
    }

    /// The names of the fields of the first line of this state, as they stand there.
    pub(crate) fn fields(&self, state: &str) -> Vec<String> {
        let is_it = |line: &&String| json(line)["state"] == state;
        let line = self.stdout.iter().find(is_it).unwrap();
        serde_json::from_str::<Names>(line).unwrap().0
    }

    pub(crate) fn text(&self) -> String {
        self.stdout.join("\n")
    }

    #[track_caller]
    pub(crate) fn hides(&self, secret: &str) {
        assert!(!secret.trim().is_empty());
        assert!(!self.text().contains(secret), "a secret is on stdout");
        assert!(!self.stderr.contains(secret), "a secret is on stderr");
    }

    #[track_caller]
    pub(crate) fn ended_with(&self, code: i32) {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.text(),
            self.stderr
        );
    }

    /// `code`, and words that a person or a script reads in it, on whichever output.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        let all = format!("{}\n{}", self.text(), self.stderr);
        for word in words {
            assert!(all.contains(word), "`{word}` is not in:\n{all}");
        }
    }
}

fn json(line: &str) -> Value {
    let value: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON ({error}): {line}"));
    assert!(value.is_object(), "no object: {line}");
    value
}

/// The names in an object, in the order in which they are written.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}
