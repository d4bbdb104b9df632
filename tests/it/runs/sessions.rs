//! The session of a run that is given by a bare name.

use openclaw_tests::peer::{self, Link};
use serde_json::{Value, json};

/// A hello whose default agent is `agent`.
fn hello_of(agent: &str) -> Value {
    let mut hello = peer::hello();
    hello["server"]["connId"] = json!(agent);
    hello["snapshot"]["sessionDefaults"] = json!({"defaultAgentId": agent});
    hello
}

/// The next request that starts a run.
async fn requested(link: &mut Link) -> Value {
    loop {
        let request = link.request().await;
        if request["method"] == "agent" || request["method"] == "chat.send" {
            return request;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_session_belongs_to_the_default_agent_of_the_connection_that_it_goes_out_on() {
    let (client, mut peer) = peer::start();
    let run = client.agent().run("Billing ", "hi").start();
    let turn = client.chat().send("billing", "hi").start();
    let named = client.agent().run("billing", "hi").agent_id("Main").start();
    assert_eq!((run.session_key(), turn.session_key()), (None, None));
    assert_eq!(named.session_key(), Some("agent:main:billing"));

    let mut link = peer.welcome_with(hello_of("Ops")).await;
    let mut keys = Vec::new();
    for _ in 0..3 {
        let request = requested(&mut link).await;
        keys.push(request["params"]["sessionKey"].as_str().unwrap().to_owned());
        let run_id = &request["params"]["idempotencyKey"];
        let status = if request["method"] == "agent" {
            "accepted"
        } else {
            "started"
        };
        link.answer(&request, json!({"runId": run_id, "status": status}))
            .await;
    }
    keys.sort();
    assert_eq!(
        keys,
        [
            "agent:main:billing",
            "agent:ops:billing",
            "agent:ops:billing"
        ]
    );
    for mut run in [run, turn] {
        run.next().await;
        assert_eq!(run.session_key(), Some("agent:ops:billing"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_begins_between_two_gateways_belongs_to_the_second() {
    let (client, mut peer) = peer::start();
    let link = peer.welcome_with(hello_of("main")).await;
    client.ready().await.unwrap();
    let mut state = client.state();
    link.close(1012, "restart").await;
    state.wait_for(|state| !state.is_ready()).await.unwrap();
    let run = client.agent().run("billing", "hi").start();
    assert_eq!(run.session_key(), None);
    let mut link = peer.welcome_with(hello_of("ops")).await;
    let request = requested(&mut link).await;
    assert_eq!(request["params"]["sessionKey"], "agent:ops:billing");
}

#[tokio::test(start_paused = true)]
async fn a_history_that_is_asked_for_early_is_of_the_default_agent() {
    let (client, mut peer) = peer::start();
    let asked = async { client.chat().history("billing").await.unwrap() };
    let answered = async {
        let mut link = peer.welcome_with(hello_of("ops")).await;
        let request = link.request().await;
        assert_eq!(request["params"]["sessionKey"], "agent:ops:billing");
        link.answer(&request, json!({"messages": []})).await;
        link
    };
    let (history, _link) = tokio::join!(asked, answered);
    assert!(history.messages.is_empty());
}
