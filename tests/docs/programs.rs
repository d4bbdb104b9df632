//! The programs, run on a mock gateway in a directory of their own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use openclaw_adapter::{Client, Config, MemoryStore, Token};
use openclaw_mock_gateway::{MockGateway, RunScript};
use openclaw_tests::scenarios::adapter_program;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

pub(crate) struct Scene {
    pub(crate) gateway: MockGateway,
    pub(crate) dir: TempDir,
    others: Vec<Client>,
}

/// The output of a program.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let gateway = MockGateway::builder().strict(false).start().await;
        gateway.script_runs(|_| RunScript::text("All is well."));
        Self {
            gateway,
            dir: tempfile::tempdir().unwrap(),
            others: Vec::new(),
        }
    }

    /// A program with nothing in its environment but this gateway.
    pub(crate) fn command(&self, program: &PathBuf, url: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.dir.path())
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "openclaw_adapter=warn")
            .env("OPENCLAW_GATEWAY_URL", url)
            .env("OPENCLAW_GATEWAY_TOKEN", self.gateway.token())
            .env("OPENCLAW_ADAPTER_STATE_DIR", self.dir.path().join("state"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// The adapter's program, to its end.
    pub(crate) async fn adapter(&self, url: &str, arguments: &[&str]) -> Said {
        let mut command = self.command(&adapter_program().unwrap(), url);
        command.args(arguments);
        said(command).await
    }

    /// The adapter's program from a first start over the approval to the end.
    pub(crate) async fn first_start(&self, arguments: &[&str]) -> Said {
        let approval = async {
            // The program has been refused by then, whenever it hears of it.
            let request = self.gateway.wait_for_pending(LIMIT).await.unwrap();
            self.gateway.approve(&request.request_id).unwrap();
        };
        let url = self.gateway.url();
        let (said, ()) = tokio::join!(self.adapter(&url, arguments), approval);
        assert_eq!(said.code, Some(0), "{said:?}");
        said
    }

    /// Somebody else's request for approval.
    pub(crate) async fn pending(&mut self) -> String {
        let config = Config::builder()
            .url(self.gateway.url())
            .token(Token::new(self.gateway.token()).unwrap())
            .store(MemoryStore::new())
            .build()
            .unwrap();
        self.others.push(Client::start(config));
        let known: Vec<_> = self.gateway.pending();
        let is_new = |now: &openclaw_mock_gateway::Snapshot| now.pending.len() > known.len();
        self.gateway.wait_for(is_new, LIMIT).await.unwrap();
        self.gateway.pending()[0].request_id.clone()
    }

    /// Somebody else's device, approved.
    pub(crate) async fn paired(&mut self) -> String {
        let request = self.pending().await;
        self.gateway.approve(&request).unwrap().device_id
    }
}

pub(crate) async fn said(mut command: Command) -> Said {
    let output = timeout(LIMIT, command.output())
        .await
        .unwrap_or_else(|_| panic!("{command:?} does not end"))
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Said {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The mock's program, which is built beside the adapter's.
pub(crate) fn mock_program() -> PathBuf {
    let name = format!("openclaw-mock-gateway{}", std::env::consts::EXE_SUFFIX);
    let program = adapter_program().unwrap().with_file_name(name);
    assert!(
        program.is_file(),
        "there is no {}: run `cargo test --workspace`",
        program.display()
    );
    program
}
