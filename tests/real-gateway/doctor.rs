//! `openclaw-adapter doctor` on real gateways: every row of the procedure's table "Common Issues", as
//! the gateway, the CLI and the host show it.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use openclaw_tests::scenarios::{Gateway as _, Secrets, Side};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::cli::{self, Home};
use crate::gateway::{Ground, RealGateway};
use crate::lane::Candidate;
use crate::net::Hosts;
use crate::report::say;

/// The longest one program may take; the CLI fills its caches the first time.
const PATIENCE: Duration = Duration::from_secs(240);

/// How the doctor names a gateway that listens and is not ready, and how long that may last.
const STARTING: [&str; 2] = ["\"issue\":\"unavailable\"", "[unavailable]"];
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// Asks the doctor about every row, on a new gateway with a host for its remote clients.
///
/// # Errors
///
/// With the row that the doctor does not recognise.
pub(crate) async fn check(
    candidate: &Candidate,
    program: &Path,
    secrets: &Secrets,
) -> anyhow::Result<()> {
    let ground = Ground::Hosts(Hosts::new()?);
    let bench = Bench {
        gateway: RealGateway::launch(candidate, ground, secrets, false).await?,
        program,
        candidate,
        secrets,
        dir: tempfile::tempdir()?,
    };
    let done = |row: &str| say(format!("{:<10} {row}", candidate.version));
    bench
        .own_host()
        .await
        .context("on the gateway's own host")?;
    done("on the gateway's own host all is well");
    bench
        .backend()
        .await
        .context("pairing required (backend)")?;
    done("pairing required (backend)");
    bench.operator().await.context("pairing required (CLI)")?;
    done("pairing required (CLI)");
    bench.mismatch().await.context("token_mismatch")?;
    done("token_mismatch");
    bench
        .after_edit()
        .await
        .context("token_mismatch after config edit")?;
    done("token_mismatch after config edit");
    bench
        .no_configuration()
        .await
        .context("no configuration file")?;
    done("CLI gives \"no configuration file\"");
    bench
        .profiles()
        .await
        .context("Config invalid: auth.profiles")?;
    done("Config invalid: auth.profiles");
    Ok(())
}

struct Bench<'a> {
    gateway: RealGateway,
    program: &'a Path,
    candidate: &'a Candidate,
    secrets: &'a Secrets,
    dir: TempDir,
}

/// What a program left behind.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// One examination, as programs read it.
struct Answer {
    code: Option<i32>,
    lines: Vec<Value>,
}

impl Answer {
    fn verdict(&self) -> &Value {
        self.lines.last().unwrap_or(&Value::Null)
    }

    fn finding(&self, check: &str) -> &Value {
        let found = self.lines.iter().find(|line| line["check"] == check);
        found.unwrap_or(&Value::Null)
    }

    fn expect(&self, issue: &str, code: i32, words: &str) -> anyhow::Result<()> {
        let verdict = self.verdict();
        ensure!(
            verdict["issue"] == issue && self.code == Some(code),
            "not {issue} with exit code {code}, but {:?}: {:#?}",
            self.code,
            self.lines
        );
        let action = verdict["action"].as_str().unwrap_or_default();
        ensure!(action.contains(words), "`{words}` is not in: {action}");
        Ok(())
    }
}

impl Bench<'_> {
    fn config(&self) -> String {
        self.gateway.config_path().display().to_string()
    }

    /// The adapter's program on a host; `state` is its state directory and its home.
    async fn run(
        &self,
        side: Side,
        state: &str,
        token: &str,
        arguments: &[&str],
        stdin: &str,
    ) -> anyhow::Result<Ended> {
        let place = self.gateway.place(side);
        let mut words = place.prefix;
        words.push(self.program.as_os_str().to_owned());
        let (first, rest) = words.split_first().context("a program to start")?;
        let home = self.dir.path().join(state);
        let mut command = Command::new(first);
        command
            .args(rest)
            .args(arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &home)
            .env("OPENCLAW_ADAPTER_STATE_DIR", home.join("state"))
            .env("OPENCLAW_GATEWAY_URL", &place.url)
            .env("OPENCLAW_GATEWAY_TOKEN", token);
        let ended = end(command, stdin).await?;
        for text in [&ended.stdout, &ended.stderr] {
            ensure!(
                !self.secrets.found_in(text),
                "a secret was printed: {}",
                self.secrets.redact(text)
            );
        }
        Ok(ended)
    }

    /// Asks the doctor for programs and for people, who have to be told the same.
    async fn ask(
        &self,
        side: Side,
        state: &str,
        token: &str,
        more: &[&str],
        stdin: &str,
    ) -> anyhow::Result<Answer> {
        self.secrets.add(token);
        let for_programs = [&["doctor", "--json"], more].concat();
        let for_people = [&["doctor"], more].concat();
        let until = Instant::now() + STARTS_WITHIN;
        let (json, words) = loop {
            let json = self.run(side, state, token, &for_programs, stdin).await?;
            let words = self.run(side, state, token, &for_people, stdin).await?;
            // A gateway that listens may be on its way up for some seconds more, for one of the two or both.
            let is_starting =
                json.stdout.contains(STARTING[0]) || words.stdout.contains(STARTING[1]);
            if !is_starting && json.code == words.code {
                break (json, words);
            }
            ensure!(
                is_starting && Instant::now() < until,
                "{:?} and {:?}:\n{}\n{}",
                json.code,
                words.code,
                json.stdout,
                words.stdout
            );
            sleep(Duration::from_millis(500)).await;
        };
        let lines = json
            .stdout
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<Vec<Value>, _>>()
            .with_context(|| format!("not JSON: {}", json.stdout))?;
        let answer = Answer {
            code: json.code,
            lines,
        };
        if let Some(issue) = answer.verdict()["issue"].as_str() {
            ensure!(
                words.stdout.contains(&format!("[{issue}]")),
                "{issue} is not in the words:\n{}",
                words.stdout
            );
        }
        Ok(answer)
    }

    /// The real CLI on a host, with a configuration or without one; all that it prints.
    async fn cli(&self, side: Side, home: &Home, arguments: &[&str]) -> anyhow::Result<String> {
        let prefix: Vec<OsString> = self.gateway.place(side).prefix;
        let mut command = cli::command(&prefix, &self.candidate.install, home)?;
        command.args(arguments);
        let ended = end(command, "").await?;
        Ok(format!("{}\n{}", ended.stdout, ended.stderr))
    }

    async fn own_host(&self) -> anyhow::Result<()> {
        let token = self.gateway.token();
        let file = self.config();
        let options = ["--openclaw-json", &file, "--method", "agent"];
        let answer = self.ask(Side::Local, "here", &token, &options, "").await?;
        answer.expect("no_identity", 0, "Start the backend")?;
        let locality = &answer.finding("locality")["data"]["locality"];
        ensure!(locality == "local", "locality is {locality}");
        let compared = &answer.finding("openclaw_json")["data"]["token"];
        ensure!(compared == "same", "the token is {compared}");
        let needed = &answer.finding("scopes")["data"]["needed"];
        ensure!(needed == "operator.write", "agent needs {needed}");
        let made = self.dir.path().join("here/state").exists();
        ensure!(!made, "the state directory was made");
        Ok(())
    }

    async fn backend(&self) -> anyhow::Result<()> {
        let token = self.gateway.token();
        let before = self.ask(Side::Remote, "backend", &token, &[], "").await?;
        before.expect("pairing_required", 10, "Start the backend")?;
        let waiting = self.gateway.pending().await?;
        ensure!(
            waiting.is_empty(),
            "a request without an identity: {waiting:?}"
        );

        let connect = ["connect", "--wait", "0"];
        let first = self
            .run(Side::Remote, "backend", &token, &connect, "")
            .await?;
        ensure!(
            first.code == Some(10),
            "connect ended with {:?}",
            first.code
        );
        let answer = self.ask(Side::Remote, "backend", &token, &[], "").await?;
        let waiting = self.gateway.pending().await?;
        let [request] = waiting.as_slice() else {
            anyhow::bail!("not one request: {waiting:?}");
        };
        let id = &request.request_id;
        answer.expect(
            "pairing_required",
            10,
            &format!("openclaw devices approve {id}"),
        )?;
        let data = &answer.finding("pairing")["data"];
        ensure!(
            data["deviceId"] == *request.device_id,
            "another device: {data}"
        );
        let locality = &answer.finding("locality")["data"];
        ensure!(locality["locality"] == "remote", "locality is {locality}");

        self.gateway.approve(id).await?;
        let answer = self.ask(Side::Remote, "backend", &token, &[], "").await?;
        ensure!(
            answer.code == Some(0) && answer.verdict()["issue"].is_null(),
            "approved, and still {:#?}",
            answer.lines
        );
        let paired = &answer.finding("pairing")["data"]["paired"];
        ensure!(paired == true, "paired is {paired}");
        Ok(())
    }

    async fn operator(&self) -> anyhow::Result<()> {
        let token = self.gateway.token();
        let list = ["devices", "list"];
        let refused = self
            .run(Side::Remote, "operator", &token, &list, "")
            .await?;
        ensure!(
            refused.code == Some(10),
            "devices list ended with {:?}",
            refused.code
        );
        let options = ["--operator"];
        let answer = self
            .ask(Side::Remote, "operator", &token, &options, "")
            .await?;
        answer.expect("pairing_required_cli", 10, "--url ws://127.0.0.1:18789")?;

        // The words of the CLI itself, from the host that is not the gateway's.
        let dir = self.dir.path().join("cli");
        std::fs::create_dir(&dir)?;
        Home::make(&dir)?;
        let url = self.gateway.place(Side::Remote).url;
        let list = ["devices", "list", "--url", &url, "--token", &token];
        let said = self
            .cli(Side::Remote, &Home::of_gateway(&dir), &list)
            .await?;
        let options = ["--operator", "--symptoms", "-"];
        let answer = self
            .ask(Side::Local, "there", &token, &options, &said)
            .await?;
        answer.expect("pairing_required_cli", 0, "docker exec")
    }

    async fn mismatch(&self) -> anyhow::Result<()> {
        let wrong = self.secrets.new_token()?;
        let file = self.config();
        for (options, words) in [
            (vec![], "restart the gateway"),
            (vec!["--openclaw-json", &file], "Copy gateway.auth.token of"),
        ] {
            let answer = self
                .ask(Side::Remote, "stranger", &wrong, &options, "")
                .await?;
            answer.expect("token_mismatch", 11, words)?;
        }
        // An approved device gets in all the same, and hears of it. It stores its token first.
        let token = self.gateway.token();
        let connect = ["connect", "--wait", "30s"];
        let stored = self
            .run(Side::Remote, "backend", &token, &connect, "")
            .await?;
        ensure!(
            stored.code == Some(0),
            "connect ended with {:?}",
            stored.code
        );
        let answer = self.ask(Side::Remote, "backend", &wrong, &[], "").await?;
        answer.expect("stale_token", 0, "OPENCLAW_GATEWAY_TOKEN")
    }

    async fn after_edit(&self) -> anyhow::Result<()> {
        // Without following edits both generations keep what they have in memory.
        self.gateway.stop().await?;
        self.gateway
            .reconfigure(|config| config["gateway"]["reload"] = json!({"mode": "off"}))?;
        self.gateway.start().await?;
        let old = self.gateway.token();
        let new = self.secrets.new_token()?;
        self.gateway.edit_token(&new).await?;
        let file = self.config();
        let options = ["--openclaw-json", &file];
        let answer = self
            .ask(Side::Remote, "stranger", &new, &options, "")
            .await?;
        answer.expect("token_mismatch_after_edit", 11, "Restart the gateway")?;
        let answer = self
            .ask(Side::Remote, "backend", &new, &options, "")
            .await?;
        answer.expect("token_mismatch_after_edit", 0, "Restart the gateway")?;
        let answer = self
            .ask(Side::Remote, "backend", &old, &options, "")
            .await?;
        answer.expect("token_mismatch_after_edit", 0, "restart the gateway")?;
        self.gateway.stop().await?;
        self.gateway.start().await?;
        let answer = self
            .ask(Side::Remote, "backend", &new, &options, "")
            .await?;
        ensure!(
            answer.code == Some(0),
            "restarted, and still {:#?}",
            answer.lines
        );
        let token = &answer.finding("token")["status"];
        ensure!(token == "ok", "the token is {token}");
        Ok(())
    }

    async fn no_configuration(&self) -> anyhow::Result<()> {
        let dir = self.dir.path().join("nothing");
        std::fs::create_dir(&dir)?;
        Home::make(&dir)?;
        let run = ["gateway", "run"];
        let said = self
            .cli(Side::Remote, &Home::of_gateway(&dir), &run)
            .await?;
        let token = self.gateway.token();
        let options = ["--symptoms", "-"];
        let answer = self
            .ask(Side::Remote, "backend", &token, &options, &said)
            .await?;
        answer.expect("no_configuration_file", 0, "node /app/openclaw.mjs")
    }

    async fn profiles(&self) -> anyhow::Result<()> {
        let token = self.gateway.token();
        self.gateway.stop().await?;
        self.gateway.reconfigure(|config| {
            config["auth"] = json!({"profiles": {"anthropic": {"type": "api_key", "key": "x"}}});
        })?;
        let started = self.gateway.start().await;
        ensure!(started.is_err(), "the gateway starts with such a profile");
        let said = self.gateway.log();
        let file = self.config();
        let way_out = "\"provider\": \"anthropic\", \"mode\": \"api_key\"";
        let options = ["--openclaw-json", &file];
        let by_file = self
            .ask(Side::Remote, "backend", &token, &options, "")
            .await?;
        by_file.expect("config_invalid_auth_profiles", 13, way_out)?;
        let options = ["--symptoms", "-"];
        let by_words = self
            .ask(Side::Remote, "backend", &token, &options, &said)
            .await?;
        by_words.expect("config_invalid_auth_profiles", 13, way_out)
    }
}

/// Runs a program to its end.
async fn end(mut command: Command, stdin: &str) -> anyhow::Result<Ended> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("start a program")?;
    let mut input = child.stdin.take().context("the program's stdin")?;
    let text = stdin.to_owned();
    // A program that does not read its input ends before all of it is written.
    let writing = tokio::spawn(async move {
        let _ = input.write_all(text.as_bytes()).await;
    });
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output())
        .await
        .context("the program has not ended")??;
    writing.abort();
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
