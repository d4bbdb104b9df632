//! Token, a gateway's `openclaw.json`, identity.

use super::*;
use crate::base::secret::TokenError;

#[test]
fn a_tokens_file_is_mended_where_it_is_and_not_by_a_second_token() {
    let file = "/run/secrets/token";
    for error in [
        ConfigError::TokenFile {
            path: file.into(),
            problem: Arc::new(ErrorKind::NotFound.into()),
        },
        ConfigError::Token {
            origin: file.into(),
            problem: TokenError::Blank,
        },
    ] {
        let facts = Facts {
            token: Err(error),
            login: Step::NotReached,
            tick: Step::NotReached,
            ..healthy()
        };
        let action = "Put gateway.auth.token of the gateway's openclaw.json into /run/secrets/token, readable by this user, or correct OPENCLAW_GATEWAY_TOKEN_FILE.";
        verdict(&facts, Status::Problem, Issue::Configuration, action);
    }
}

#[test]
fn two_credentials_at_once_are_both_named() {
    let facts = Facts {
        token: Err(ConfigError::Conflict {
            first: "OPENCLAW_GATEWAY_TOKEN".into(),
            second: "OPENCLAW_GATEWAY_PASSWORD".into(),
        }),
        login: Step::NotReached,
        tick: Step::NotReached,
        ..healthy()
    };
    let action = "Unset OPENCLAW_GATEWAY_TOKEN or OPENCLAW_GATEWAY_PASSWORD";
    verdict(&facts, Status::Problem, Issue::Configuration, action);
}

/// A file that nothing in hand is compared with.
fn alone(config: &Value) -> Found {
    Found::Read {
        path: "/data/openclaw.json".into(),
        content: OpenclawJson::read(&config.to_string(), None),
    }
}

#[test]
fn a_missing_credential_is_taken_from_where_the_file_has_it() {
    let auth = |auth: Value| json!({"gateway":{"auth":auth}});
    for (config, action) in [
        (
            auth(json!({"token":SECRET})),
            "Set OPENCLAW_GATEWAY_TOKEN to gateway.auth.token of /data/openclaw.json.",
        ),
        (
            auth(json!({"mode":"password","password":"correct horse"})),
            "Set OPENCLAW_GATEWAY_PASSWORD to gateway.auth.password of /data/openclaw.json.",
        ),
    ] {
        let facts = Facts {
            token: Err(ConfigError::NoToken),
            openclaw_json: alone(&config),
            login: Step::NotReached,
            tick: Step::NotReached,
            ..healthy()
        };
        verdict(&facts, Status::Problem, Issue::NoToken, action);
    }
}

#[test]
fn a_password_that_differs_is_not_called_a_token() {
    let config = json!({"gateway":{"auth":{"mode":"password","password":"correct horse"}}});
    let ours = Secret::Password(Token::new("battery staple").unwrap());
    let facts = Facts {
        openclaw_json: Found::Read {
            path: "/data/openclaw.json".into(),
            content: OpenclawJson::read(&config.to_string(), Some(&ours)),
        },
        ..stopped_at_tcp(connection_refused())
    };
    let found = find(&facts, Check::OpenclawJson);
    assert_eq!(found.issue.unwrap().as_str(), "password_mismatch");
    assert!(found.fix.unwrap().contains("Copy gateway.auth.password"));
}

#[test]
fn an_operator_without_an_identity_has_nothing_to_do_and_a_backend_is_told() {
    let nameless = || Facts {
        identity: Ok(None),
        login: Step::Done(Login {
            with_device: false,
            end: accepted(Used::Secret),
        }),
        ..healthy()
    };
    let operator = Facts {
        perspective: Perspective::Operator,
        openclaw_json: Found::NotAsked,
        ..nameless()
    };
    let found = find(&operator, Check::Identity);
    assert_eq!((found.status, found.issue), (Status::Ok, None));
    assert!(found.message.contains("devices list"), "{}", found.message);
    let backend = find(&nameless(), Check::Identity);
    assert_eq!(backend.issue, Some(Issue::NoIdentity));
    assert!(backend.fix.unwrap().contains("Start the backend"));
}
