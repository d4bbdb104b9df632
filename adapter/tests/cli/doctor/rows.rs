//! Every row of the procedure's table "Common Issues".

use std::error::Error as _;
use std::fs;
use std::time::Duration;

use openclaw_mock_gateway::{Edition, MockGateway};
use serde_json::Value;

use super::{WRONG, ask, ask_remote, finding, openclaw_json, with_files};
use crate::host::{Host, PATIENCE};

#[tokio::test]
async fn row_token_mismatch_names_the_file_to_copy_from_on_both_generations() {
    for edition in Edition::ALL {
        let host = Host::new();
        let gateway = with_files(edition, &host).await;
        let file = openclaw_json(&host);
        let answer = ask(
            &host,
            Some(&gateway),
            &gateway.url(),
            WRONG,
            &["--openclaw-json", &file],
        )
        .await;
        answer.json.ended_with(11);
        assert_eq!(answer.verdict()["issue"], "token_mismatch", "{edition}");
        answer
            .json
            .says(&["gateway.auth.token", &file, "OPENCLAW_GATEWAY_TOKEN"]);
        assert_eq!(
            finding(&answer.json, "openclaw_json")["data"]["token"],
            "differs"
        );
        // Without the file it is the same name, and the advice covers an edit as well.
        let blind = ask(&host, Some(&gateway), &gateway.url(), WRONG, &[]).await;
        blind.json.ended_with(11);
        assert_eq!(blind.verdict()["issue"], "token_mismatch");
        blind.json.says(&["restart the gateway"]);
    }
}

#[tokio::test]
async fn a_password_for_a_gateway_in_token_mode_is_to_be_unset_whatever_its_file_holds() {
    for edition in Edition::ALL {
        let host = Host::new();
        let gateway = with_files(edition, &host).await;
        let file = openclaw_json(&host);
        let ended = host
            .program(&["doctor", "--json", "--openclaw-json", &file])
            .url(&gateway.url())
            .env("OPENCLAW_GATEWAY_PASSWORD", "correct horse battery")
            .run()
            .await;
        ended.ended_with(11);
        let verdict = ended.last();
        let action = verdict["action"].as_str().unwrap();
        assert!(
            action.contains("unset OPENCLAW_GATEWAY_PASSWORD, and set OPENCLAW_GATEWAY_TOKEN"),
            "{edition}: {action}"
        );
    }
}

#[tokio::test]
async fn row_token_mismatch_after_an_edit_says_restart_on_both_generations() {
    for edition in Edition::ALL {
        let host = Host::new();
        let gateway = with_files(edition, &host).await;
        let file = openclaw_json(&host);
        let options = ["--openclaw-json", &file];
        let (old, new) = (gateway.token(), "the-new-token-0123456789abcdef");
        gateway.set_token_on_disk(new).unwrap();
        let answer = ask(&host, Some(&gateway), &gateway.url(), new, &options).await;
        answer.json.ended_with(11);
        assert_eq!(
            answer.verdict()["issue"],
            "token_mismatch_after_edit",
            "{edition}"
        );
        answer.json.says(&["docker restart"]);
        assert_eq!(
            finding(&answer.json, "openclaw_json")["data"]["token"],
            "same"
        );
        // Who still has the old token is warned that the restart will lock it out.
        let warned = ask(&host, Some(&gateway), &gateway.local_url(), &old, &options).await;
        warned.json.ended_with(0);
        let compared = finding(&warned.json, "openclaw_json");
        assert_eq!(compared["issue"], "token_mismatch_after_edit");
        gateway.restart().await.unwrap();
        let mended = ask(&host, Some(&gateway), &gateway.local_url(), new, &options).await;
        mended.json.ended_with(0);
        assert_eq!(finding(&mended.json, "token")["status"], "ok");
    }
}

#[tokio::test]
async fn row_pairing_required_of_the_cli_says_loopback_on_both_generations() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        // An operator who came over the network was refused once, and has an identity since.
        let refused = host
            .program(&["devices", "list"])
            .remote(&gateway)
            .run()
            .await;
        refused.ended_with(10);
        let answer = ask_remote(&host, &gateway, &["--operator"]).await;
        answer.json.ended_with(10);
        assert_eq!(
            answer.verdict()["issue"],
            "pairing_required_cli",
            "{edition}"
        );
        answer
            .json
            .says(&["docker exec", "--url ws://127.0.0.1:18789"]);
        assert_eq!(finding(&answer.json, "locality")["issue"], "not_loopback");
        assert_eq!(
            finding(&answer.json, "scopes")["data"]["asked"][0],
            "operator.pairing"
        );
        // On the gateway's own host nobody is asked.
        let here = Host::new();
        let local = ask(
            &here,
            Some(&gateway),
            &gateway.local_url(),
            &gateway.token(),
            &["--operator"],
        )
        .await;
        local.json.ended_with(0);
        assert_eq!(finding(&local.json, "identity")["status"], "ok");
        assert!(!local.json.text().contains("Start the backend"));
    }
}

#[tokio::test]
async fn row_pairing_required_of_a_backend_gives_the_command_on_both_generations() {
    for edition in Edition::ALL {
        let host = Host::new();
        let gateway = with_files(edition, &host).await;
        let first = host
            .program(&["connect", "--wait", "0"])
            .remote(&gateway)
            .run()
            .await;
        first.ended_with(10);
        let file = openclaw_json(&host);
        let options = ["--openclaw-json", &file];
        let token = gateway.token();
        let answer = ask(&host, Some(&gateway), &gateway.url(), &token, &options).await;
        answer.json.ended_with(10);
        assert_eq!(answer.verdict()["issue"], "pairing_required", "{edition}");
        let pending = gateway.pending();
        assert_eq!(pending.len(), 1, "the same request as before");
        let id = &pending[0].request_id;
        let command = format!("openclaw devices approve {id}");
        answer
            .json
            .says(&[&command, "node /app/openclaw.mjs devices approve"]);
        let data = finding(&answer.json, "pairing")["data"].clone();
        assert_eq!(data["requestId"], **id);
        assert_eq!(data["deviceId"], *pending[0].device_id);
        let age = Duration::from_millis(data["ageMs"].as_u64().unwrap());
        assert!(age < PATIENCE, "{age:?}");

        gateway.approve(id).unwrap();
        let paired = ask(&host, Some(&gateway), &gateway.url(), &token, &options).await;
        paired.json.ended_with(0);
        assert_eq!(paired.verdict()["action"], "Nothing to do.", "{edition}");
        assert_eq!(finding(&paired.json, "pairing")["data"]["paired"], true);
        let approved = finding(&paired.json, "scopes")["data"]["approved"].clone();
        assert_eq!(
            approved,
            serde_json::json!(["operator.read", "operator.write"])
        );
    }
}

#[tokio::test]
async fn row_config_invalid_is_found_in_the_file_and_in_the_gateways_words() {
    for edition in Edition::ALL {
        let host = Host::new();
        let gateway = with_files(edition, &host).await;
        let (url, token) = (gateway.url(), gateway.token());
        let port = url.rsplit(':').next().unwrap().to_owned();
        gateway.stop().await;
        let file = openclaw_json(&host);
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        config["auth"]["profiles"]["anthropic"] =
            serde_json::json!({"type": "api_key", "key": "x"});
        config["gateway"]["port"] = port.parse::<u16>().unwrap().into();
        fs::write(&file, config.to_string()).unwrap();
        let refused = MockGateway::builder()
            .edition(edition)
            .state_dir(host.path("gateway"))
            .try_start()
            .await
            .unwrap_err();
        let said = refused
            .source()
            .map_or_else(|| refused.to_string(), ToString::to_string);
        let said = format!("{refused} {said}");
        assert!(said.contains("Config invalid: auth.profiles"), "{said}");

        let by_file = ask(&host, None, &url, &token, &["--openclaw-json", &file]).await;
        by_file.json.ended_with(13);
        assert_eq!(
            by_file.verdict()["issue"],
            "config_invalid_auth_profiles",
            "{edition}"
        );
        by_file.json.says(&["auth.profiles.anthropic.provider"]);
        let action = by_file.verdict()["action"].as_str().unwrap().to_owned();
        assert!(
            action.contains("\"provider\": \"anthropic\", \"mode\": \"api_key\""),
            "{action}"
        );

        let by_words = ask(&host, None, &url, &token, &["--symptoms", &said]).await;
        by_words.json.ended_with(13);
        assert_eq!(by_words.verdict()["issue"], "config_invalid_auth_profiles");
        assert_eq!(by_words.verdict()["action"], *action);
    }
}

#[tokio::test]
async fn row_no_configuration_file_is_known_by_its_words_and_where_there_is_none() {
    for edition in Edition::ALL {
        let gateway = MockGateway::builder().edition(edition).start().await;
        let host = Host::new();
        // A person pipes in what was printed; a token in it is not repeated.
        let log = host.write(
            "log",
            &format!(
                "Token: {}\nno configuration file provided: not found\n",
                gateway.token()
            ),
        );
        let ended = host
            .program(&["doctor", "--json", "--symptoms", "-"])
            .local(&gateway)
            .stdin(&log)
            .run()
            .await;
        ended.ended_with(0);
        assert_eq!(ended.last()["issue"], "no_configuration_file", "{edition}");
        ended.says(&["node /app/openclaw.mjs", "docker exec"]);
        // An operator who runs it at the wrong place has no configuration there.
        host.program(&["devices", "list"])
            .remote(&gateway)
            .run()
            .await
            .ended_with(10);
        let answer = ask_remote(&host, &gateway, &["--operator"]).await;
        assert_eq!(
            finding(&answer.json, "openclaw_json")["issue"],
            "no_configuration_file"
        );
        answer.json.says(&["node /app/openclaw.mjs"]);
    }
}
