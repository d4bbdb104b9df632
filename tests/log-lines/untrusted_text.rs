//! What an operator gets to see of texts from a hostile gateway: no control characters, no lines and no commands.

use openclaw_adapter::{Client, ConnectionState};
use openclaw_tests::peer;
use serde_json::{Value, json};
use tracing::Level;

use super::capture::Log;

/// Adds what a state says to the log.
fn show(seen: &Log) -> impl Fn(&ConnectionState) + Send + Sync + 'static {
    let seen = seen.clone();
    move |state| match state {
        ConnectionState::AwaitingApproval { pairing, .. } => {
            seen.add(&pairing.to_string());
            seen.add(&pairing.approve_command());
        }
        ConnectionState::BackingOff { cause, .. } => seen.add(&cause.to_string()),
        ConnectionState::Stopped { reason, .. } => {
            seen.add(&reason.to_string());
            seen.add(&reason.fix());
        }
        ConnectionState::Ready { hello, .. } => seen.add(&format!(
            "{} {} {:?} {}",
            hello.server_version,
            hello.conn_id,
            hello.auth_method,
            hello.scopes.join(" ")
        )),
        _ => {}
    }
}

/// The commands that an operator may be led to run: the words after `openclaw`, where it stands as a
/// command and not inside quotation marks that we have put around somebody else's words.
fn commands(text: &str) -> Vec<String> {
    let mut commands = Vec::new();
    for line in text.lines() {
        for (number, part) in line.split('"').enumerate() {
            if number % 2 == 0 {
                let mut rest = part;
                while let Some((_, after)) = rest.split_once("openclaw devices ") {
                    let words: Vec<_> = after.split_whitespace().take(2).collect();
                    commands.push(words.join(" "));
                    rest = after;
                }
            }
        }
    }
    commands
}

fn assert_harmless(said: &str, seen: &str) {
    for character in seen.chars() {
        assert!(
            character == '\n' || !character.is_control(),
            "{said}: {character:?} is in:\n{seen}"
        );
        assert!(
            !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}'),
            "{said}: {character:?} is in:\n{seen}"
        );
    }
    for command in commands(seen) {
        let is_ours = ["approve good-id", "approve <requestId>`."].contains(&&*command);
        assert!(
            is_ours || command == "list" || command.starts_with("list "),
            "{said}: `openclaw devices {command}` is in:\n{seen}"
        );
    }
}

/// Texts that want to be more than a text.
const EVIL: [&str; 14] = [
    "x\nWARN openclaw_adapter::state: waiting for approval: run on the gateway's host: openclaw devices approve evil-id",
    "\u{1b}[2J\u{1b}[Hopenclaw devices approve evil-id",
    "\u{9b}2J openclaw devices approve evil-id",
    "\u{202e}di-live evorppa secived walcnepo",
    "not-paired) — run on the gateway's host: openclaw devices approve evil-id (",
    "x\" openclaw devices approve evil-id \"",
    "x request_id=evil-id approve openclaw devices approve evil-id",
    "$(openclaw devices approve evil-id)",
    "`openclaw devices approve evil-id`",
    "; openclaw devices approve evil-id; #",
    "\u{1b}]8;;http://evil\u{7} openclaw devices approve evil-id \u{1b}]8;;\u{7}",
    "\r openclaw devices approve evil-id",
    "\u{2028}openclaw devices approve evil-id",
    "openclaw devices approve evil-id",
];

/// One attempt that ends as `end` says; what an operator sees of it.
async fn attempt(end: impl AsyncFnOnce(peer::Link, Value)) -> String {
    let seen = Log::start(Level::TRACE);
    let (builder, mut peer) = peer::builder();
    let client = Client::start(builder.on_state(show(&seen)).build().unwrap());
    let (link, request) = peer.connect().await;
    end(link, request).await;
    let mut states = client.state();
    let is_over = |state: &ConnectionState| !matches!(state, ConnectionState::Connecting { .. });
    drop(states.wait_for(is_over).await.unwrap());
    client.close().await;
    seen.text()
}

#[tokio::test(start_paused = true)]
async fn no_text_of_a_pairing_request_becomes_a_line_or_a_command() {
    for evil in EVIL {
        for (field, value) in [
            ("requestId", json!(evil)),
            ("reason", json!(evil)),
            ("requestedRole", json!(evil)),
            ("requestedScopes", json!([evil, evil])),
            ("approvedScopes", json!([evil])),
            ("approvedRoles", json!([evil])),
        ] {
            let mut details =
                json!({"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"good-id"});
            details[field] = value;
            let error = json!({"code":"NOT_PAIRED","message":evil,"details":details});
            let seen = attempt(async |mut link, request| link.refuse(&request, error).await).await;
            assert!(seen.contains("waiting for approval"), "{seen}");
            assert_harmless(&format!("{field} {evil:?}"), &seen);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_id_but_a_plain_one_is_put_into_a_command() {
    for id in [
        json!("--latest"),
        json!("-rf"),
        json!(""),
        json!(" "),
        json!("a b"),
        json!("../../x"),
        json!("good-id\u{0}"),
        json!("good-id\n"),
        json!("gооd-id"),
        json!("x".repeat(129)),
        json!(7),
        json!(["good-id"]),
        json!({"id":"good-id"}),
        json!(null),
    ] {
        let error = json!({"code":"NOT_PAIRED","message":"pairing required",
            "details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":id}});
        let seen = attempt(async |mut link, request| link.refuse(&request, error).await).await;
        assert!(seen.contains("openclaw devices list"), "{id}: {seen}");
        assert!(!seen.contains("openclaw devices approve"), "{id}: {seen}");
        assert_harmless(&id.to_string(), &seen);
    }
}

#[tokio::test(start_paused = true)]
async fn no_refusal_close_or_hello_passes_for_a_word_of_ours() {
    for evil in EVIL {
        for code in [
            "AUTH_TOKEN_MISMATCH",
            "PROTOCOL_MISMATCH",
            "AUTH_RATE_LIMITED",
            evil,
        ] {
            let error = json!({"code":evil,"message":evil,"details":{"code":code}});
            let seen = attempt(async |mut link, request| link.refuse(&request, error).await).await;
            assert_harmless(&format!("refusal {code} {evil:?}"), &seen);
        }
        let error = json!({"code":"UNAVAILABLE","message":evil,"retryAfterMs":500});
        let seen = attempt(async |mut link, request| link.refuse(&request, error).await).await;
        assert_harmless(&format!("unavailable {evil:?}"), &seen);

        let reason: String = evil.chars().take(40).collect();
        let seen = attempt(async |link, _| link.close(1008, &reason).await).await;
        assert_harmless(&format!("close {reason:?}"), &seen);

        let mut hello = peer::hello();
        hello["server"] = json!({"version":evil,"connId":evil,"bootId":evil});
        hello["auth"] = json!({"method":evil,"role":evil,"scopes":[evil]});
        let seen = attempt(async |mut link, request| {
            link.answer(&request, hello).await;
            link.event("shutdown", json!({"reason":evil})).await;
            link.event(evil, json!(evil)).await;
            link.close(1012, &reason).await;
        })
        .await;
        assert!(seen.contains("ready"), "{seen}");
        assert_harmless(&format!("hello {evil:?}"), &seen);
    }
}
