//! The program on a terminal: the test sees its screen, and presses its keys.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openclaw_mock_gateway::{Edition, MockGateway, On, Response, RunScript, Snapshot};
use pty_process::{Command, OwnedWritePty, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::host::{Host, PATIENCE};

const COLOUR: [(&str, &str); 2] = [("TERM", "xterm-256color"), ("LANG", "C.UTF-8")];

const SYMBOLS: [char; 3] = ['✓', '✗', '·'];

/// The program at work on a terminal of 24 rows and 80 columns. It is killed when dropped.
struct Terminal {
    child: Child,
    keys: OwnedWritePty,
    written: Arc<Mutex<String>>,
    seen: watch::Receiver<()>,
    reader: JoinHandle<()>,
}

impl Terminal {
    fn start(host: &Host, gateway: &MockGateway, arguments: &[&str]) -> Self {
        let variables = [
            ("OPENCLAW_GATEWAY_URL", gateway.url()),
            ("OPENCLAW_GATEWAY_TOKEN", gateway.token()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
        Self::with(host, arguments, &[&COLOUR[..], &variables].concat())
    }

    fn local(host: &Host, gateway: &MockGateway, arguments: &[&str]) -> Self {
        let url = gateway.local_url();
        let arguments = [arguments, &["--url", &url]].concat();
        Self::start(host, gateway, &arguments)
    }

    fn with(host: &Host, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let (pty, pts) = pty_process::open().unwrap();
        pty.resize(Size::new(24, 80)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_openclaw-adapter"))
            .args(arguments)
            .env_clear()
            .env("HOME", host.path(""))
            .env("OPENCLAW_ADAPTER_STATE_DIR", host.state_dir())
            .envs(variables.iter().copied())
            .current_dir(host.path(""))
            .kill_on_drop(true)
            .spawn(pts)
            .unwrap();
        let (mut screen, keys) = pty.into_split();
        let written = Arc::new(Mutex::new(String::new()));
        let (changed, seen) = watch::channel(());
        let reader = tokio::spawn({
            let written = Arc::clone(&written);
            async move {
                let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
                // The end of a terminal is an error: nobody has it open any more.
                while let Ok(read @ 1..) = screen.read(&mut buffer).await {
                    held.extend_from_slice(&buffer[..read]);
                    let whole = held.utf8_chunks().next().map_or(0, |one| one.valid().len());
                    let text = String::from_utf8(held.drain(..whole).collect()).unwrap();
                    lock(&written).push_str(&text);
                    changed.send_replace(());
                }
            }
        });
        Self {
            child,
            keys,
            written,
            seen,
            reader,
        }
    }

    /// Waits until this stands in what was written.
    async fn shows(&mut self, wanted: &str) {
        self.until(wanted, |written| written.contains(wanted)).await;
    }

    async fn until(&mut self, wanted: &str, is_it: impl Fn(&str) -> bool) {
        let waiting = async {
            loop {
                self.seen.borrow_and_update();
                if is_it(&lock(&self.written)) {
                    return true;
                }
                if self.seen.changed().await.is_err() {
                    return is_it(&lock(&self.written));
                }
            }
        };
        let shown = tokio::time::timeout(PATIENCE, waiting).await;
        assert_eq!(
            shown,
            Ok(true),
            "no `{wanted}` in:\n{}",
            lock(&self.written)
        );
    }

    async fn ctrl_c(&mut self) {
        self.keys.write_all(&[3]).await.unwrap();
    }

    /// Waits for its end; the code, and all that was written.
    async fn ended(mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .unwrap_or_else(|_| panic!("has not ended:\n{}", lock(&self.written)))
            .unwrap();
        self.reader.await.unwrap();
        let written = lock(&self.written).clone();
        (status, written)
    }
}

fn lock(written: &Mutex<String>) -> std::sync::MutexGuard<'_, String> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lines that are left to see when all of it is written.
fn screen(written: &str) -> Vec<String> {
    let mut lines = vec![Vec::new()];
    let mut column = 0;
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        let line = lines.last_mut().unwrap();
        match character {
            '\n' => lines.push(Vec::new()),
            '\r' => column = 0,
            '\u{8}' => column -= 1,
            // Colours end with an m.
            '\u{1b}' => while characters.next().is_some_and(|one| one != 'm') {},
            character => {
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
    }
    let line = |line: Vec<char>| line.into_iter().collect::<String>().trim_end().to_owned();
    lines.into_iter().map(line).collect()
}

#[tokio::test]
async fn colour_and_symbols_are_only_on_a_terminal_and_never_with_no_color() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let url = gateway.local_url();
    let connect = ["connect", "--wait", "0", "--url", &url];
    for arguments in [
        &connect[..],
        &["doctor", "--url", &url],
        &["--help"],
        &["no"],
    ] {
        for (variables, coloured) in [
            (&[][..], true),
            (&[("NO_COLOR", "1")], false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
            (&[("TERM", "dumb")], false),
        ] {
            let token = [("OPENCLAW_GATEWAY_TOKEN", &*gateway.token())];
            let variables = [&COLOUR[..], &token, variables].concat();
            let (_, written) = Terminal::with(&host, arguments, &variables).ended().await;
            assert_eq!(
                written.contains('\u{1b}'),
                coloured,
                "{variables:?} {written}"
            );
            assert!(coloured || !written.contains(SYMBOLS), "{written}");
            let own = ["connect", "doctor"].contains(&arguments[0]);
            assert!(!coloured || !own || written.contains('✓'), "{written}");
        }
        let mut program = host.program(arguments).local(&gateway);
        for (name, value) in COLOUR.into_iter().chain([("CLICOLOR_FORCE", "1")]) {
            program = program.env(name, value);
        }
        let ended = program.run().await;
        let written = format!("{}{}", ended.text(), ended.stderr);
        assert!(
            !written.contains('\u{1b}') && !written.contains(SYMBOLS),
            "{written}"
        );
    }
}

#[tokio::test]
async fn the_wait_for_an_approval_counts_down_in_one_line_that_goes_in_the_end() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut terminal = Terminal::start(&host, &gateway, &["connect", "--wait", "100m"]);
    // Two of them, whatever the machine's pace.
    terminal.shows("waiting for approval, 1:").await;
    terminal.shows("\rwaiting for approval, 1:39:").await;
    let counts = |text: &str| text.matches("waiting for approval, 1:").count();
    let drawn = counts(&lock(&terminal.written));
    let more = |text: &str| counts(text) >= drawn + 2;
    terminal.until("two more", more).await;
    let so_far = screen(&lock(&terminal.written));
    let last = so_far.last().unwrap();
    assert!(
        last.starts_with("waiting for approval, 1:39:"),
        "{so_far:?}"
    );
    assert_eq!(
        so_far.len(),
        4,
        "connecting, the request, the command, the time: {so_far:?}"
    );

    let id = gateway.pending().remove(0).request_id;
    gateway.approve(&id).unwrap();
    let (status, written) = terminal.ended().await;
    assert_eq!(status.code(), Some(0), "{written}");
    let left = screen(&written);
    assert!(
        left.iter().any(|line| line.contains("ready: gateway")),
        "{left:?}"
    );
    assert!(left.iter().all(|line| !line.contains("Ctrl-C")), "{left:?}");
}

#[tokio::test]
async fn without_a_limit_the_time_is_counted_up_and_json_has_none_of_it() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut events = Terminal::start(&host, &gateway, &["events"]);
    events.shows("\rwaiting for approval for 0:").await;
    let mut json = Terminal::start(&host, &gateway, &["connect", "--json"]);
    json.shows("awaiting_approval").await;
    let asked = gateway.connects();
    gateway
        .wait_for(|now| now.connects > asked + 4, PATIENCE)
        .await
        .unwrap();
    assert!(!lock(&json.written).contains("waiting for approval for"));
}

#[tokio::test]
async fn ctrl_c_ends_every_stage_with_its_code_and_leaves_no_connection() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    gateway.script_runs(|_| {
        RunScript::text("A long answer that does not end")
            .deltas(3)
            .hangs()
    });
    On::method("health")
        .respond(Response::never())
        .mount(&gateway);
    let local = gateway.local_url();
    for (arguments, stage, code) in [
        (&["connect", "--url", "nowhere"][..], "connecting", 130),
        (
            &["connect", "--hold", "--url", "nowhere"],
            "connecting",
            130,
        ),
        (&["events", "--url", "nowhere"], "connecting", 130),
        (&["call", "health", "--url", "nowhere"], "", 130),
        (&["run", "hi", "--url", "nowhere"], "", 130),
        (&["devices", "list", "--url", "nowhere"], "", 130),
        (&["doctor", "--url", "nowhere"], "", 130),
        (&["connect"], "waiting for approval for", 130),
        (&["connect", "--hold"], "waiting for approval for", 130),
        (&["events"], "waiting for approval for", 130),
        (&["connect", "--hold", "--url", &local], "(protocol 4)", 0),
        (&["events", "--url", &local], "(protocol 4)", 0),
        (&["call", "health", "--url", &local], "health", 130),
        (&["run", "hi", "--url", &local], "A long", 130),
    ] {
        // It takes connections, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nowhere = format!("ws://{}", silent.local_addr().unwrap());
        let arguments = arguments.iter().map(|word| match *word {
            "nowhere" => &*nowhere,
            word => word,
        });
        let arguments: Vec<&str> = arguments.collect();
        let mut terminal = Terminal::start(&host, &gateway, &arguments);
        let mut held = None;
        match stage {
            // It prints nothing: the silent one sees it come, or the gateway does.
            "" => held = Some(silent.accept().await.unwrap()),
            "health" => {
                let asked = |now: &Snapshot| now.live > 0;
                gateway.wait_for(asked, PATIENCE).await.unwrap();
            }
            stage => terminal.shows(stage).await,
        }
        terminal.ctrl_c().await;
        let (status, written) = terminal.ended().await;
        drop(held);
        assert_eq!(status.code(), Some(code), "{arguments:?}:\n{written}");
        let left = screen(&written);
        assert!(
            left.iter().all(|line| !line.contains("(Ctrl-C")),
            "{left:?}"
        );
        assert!(!written.contains("panicked"), "{written}");
        let closed = gateway.wait_for(|now| now.live == 0, PATIENCE).await;
        closed.expect("the connection is closed");
    }
}

#[tokio::test]
async fn the_second_ctrl_c_leaves_a_run_that_does_not_stop() {
    let gateway = MockGateway::builder()
        .edition(Edition::V2026_2_9)
        .start()
        .await;
    // 2026.2.9 cannot stop a run of `agent`.
    gateway.script_runs(|_| {
        RunScript::text("A long answer that does not end")
            .deltas(3)
            .hangs()
    });
    let host = Host::new();
    let mut terminal = Terminal::local(&host, &gateway, &["run", "hi"]);
    terminal.shows("A long").await;
    terminal.ctrl_c().await;
    terminal.shows("stopping the run").await;
    terminal.ctrl_c().await;
    let (status, _) = terminal.ended().await;
    assert_eq!(status.code(), Some(130));
}

#[tokio::test]
async fn a_narrow_terminal_keeps_the_time_in_one_line() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    let mut terminal = Terminal::start(&host, &gateway, &["connect"]);
    terminal.keys.resize(Size::new(24, 20)).unwrap();
    terminal.shows("\rwaiting for approv").await;
    let before = lock(&terminal.written).len();
    let drawn = |text: &str| text[before..].matches('\r').count() >= 2;
    terminal.until("two more", drawn).await;
    let written = lock(&terminal.written)[before..].to_owned();
    for line in written.split(['\r', '\n']) {
        let width = line.chars().filter(|one| *one != '\u{8}').count();
        assert!(width < 20, "{line:?}");
    }
}

#[tokio::test]
async fn help_completions_and_the_man_page_name_every_command() {
    let host = Host::new();
    let commands = [
        "connect", "doctor", "call", "run", "events", "identity", "devices",
    ];
    for command in commands {
        let help = host.program(&[command, "--help"]).run().await;
        help.ended_with(0);
        help.says(&["Examples", "Exit codes", "openclaw-adapter "]);
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        // Whatever the environment: it is not even read.
        let script = host
            .program(&["completions", shell])
            .env("OPENCLAW_GATEWAY_TOKEN", " ")
            .run()
            .await;
        script.ended_with(0);
        script.says(&commands);
        script.says(&["state-dir"]);
    }
    let page = host.program(&["man"]).run().await;
    page.ended_with(0);
    page.says(&[
        ".TH openclaw-adapter 1",
        ".SH NAME",
        ".SH SYNOPSIS",
        "NO_COLOR",
    ]);
    page.says(&commands);

    let dir = host.path("man1");
    let pages = host.program(&["man", "--dir", dir.to_str().unwrap()]).run();
    pages.await.ended_with(0);
    for command in commands {
        let page = std::fs::read_to_string(dir.join(format!("openclaw-adapter-{command}.1")));
        assert!(page.unwrap().contains(".SH \"EXAMPLES"), "{command}");
    }
    let no_place = host.write("file", "");
    let refused = host
        .program(&["man", "--dir", no_place.to_str().unwrap()])
        .run();
    refused.await.ended_with(2);
}

#[tokio::test]
async fn the_exit_code_of_a_call_that_was_interrupted_comes_with_a_word_of_doubt() {
    let (gateway, host) = (MockGateway::start().await, Host::new());
    On::method("health")
        .respond(Response::never())
        .mount(&gateway);
    let running = host.program(&["call", "health"]).local(&gateway).start();
    let asked = async {
        while !gateway
            .frames()
            .iter()
            .any(|frame| frame.json["method"] == "health")
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
    running.signal("TERM").await;
    let ended = running.ended().await;
    ended.ended_with(143);
    ended.says(&["may have carried health out"]);
}
