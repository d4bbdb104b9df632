//! Messages that a person saw somewhere else: in the gateway's log, from the `openclaw` CLI, from
//! `docker compose`. They are recognised, never repeated: a log holds secrets. No I/O.

use super::report::Issue;

/// A message that was recognised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Symptom {
    pub(super) issue: Issue,
    /// The words by which it is known.
    pub(super) words: &'static str,
    pub(super) cause: &'static str,
    pub(super) fix: &'static str,
}

/// The fix for an auth profile of the wrong form.
pub(super) const AUTH_PROFILES_FIX: &str = "Write each entry of auth.profiles in the gateway's openclaw.json (or what start.sh puts there) as { \"provider\": \"anthropic\", \"mode\": \"api_key\" }, and start the gateway.";

/// The command that runs the `openclaw` CLI beside its configuration.
pub(super) const NO_CONFIGURATION_FIX: &str = "Run the CLI in the gateway's container as `node /app/openclaw.mjs`: docker exec -u node CONTAINER node /app/openclaw.mjs devices list --url ws://127.0.0.1:18789 --token TOKEN.";

/// The way for an operator to connect without an approval.
pub(super) const OPERATOR_FIX: &str = "Run it on the gateway's own host, over its loopback, where no approval is needed: with docker exec, not docker compose run, and with --url ws://127.0.0.1:18789.";

/// The more telling one first: of several in one text each is named once.
const SYMPTOMS: &[(&[&str], Symptom)] = &[
    (
        // 2026.9.6, 2026.2.9 and older ones say it in different words, all with the place.
        &["auth.profiles"],
        Symptom {
            issue: Issue::ConfigInvalidAuthProfiles,
            words: "Config invalid: auth.profiles",
            cause: "the gateway does not start with an auth profile of the wrong form in its openclaw.json",
            fix: AUTH_PROFILES_FIX,
        },
    ),
    (
        &["config invalid", "invalid config at", "config is invalid"],
        Symptom {
            issue: Issue::ConfigInvalid,
            words: "Config invalid",
            cause: "the gateway does not start with its openclaw.json as it is",
            fix: "Run `openclaw config validate` on the gateway's host, mend what it names, and start the gateway.",
        },
    ),
    (
        &["no configuration file", "missing config. run"],
        Symptom {
            issue: Issue::NoConfigurationFile,
            words: "no configuration file",
            cause: "the CLI was started where the gateway's configuration is not: by another path, as another user, or outside the container",
            fix: NO_CONFIGURATION_FIX,
        },
    ),
    (
        &["token mismatch", "token_mismatch"],
        Symptom {
            issue: Issue::TokenMismatch,
            words: "token mismatch",
            cause: "a client sent another token than the one in the gateway's memory",
            fix: "Copy gateway.auth.token from the gateway's openclaw.json to the client and restart it; if the file was edited after the gateway started, restart the gateway first.",
        },
    ),
    (
        // What 2026.9.6 leaves of a CLI that is not paired and comes over the network.
        &["pairing required", "missing scope: operator.pairing"],
        Symptom {
            issue: Issue::PairingRequiredCli,
            words: "pairing required",
            cause: "a client that is not approved came over the network; the openclaw CLI needs no approval over the gateway's own loopback",
            fix: "For the CLI: run it in the gateway's container with docker exec, not docker compose run, and with --url ws://127.0.0.1:18789. For a backend: openclaw devices list, then openclaw devices approve ID.",
        },
    ),
];

/// Returns the symptoms whose known messages are in `text`.
pub(super) fn recognise(text: &str) -> Vec<Symptom> {
    let text = text.to_lowercase();
    let mut found: Vec<Symptom> = Vec::new();
    for (needles, symptom) in SYMPTOMS {
        if needles.iter().any(|needle| text.contains(needle)) {
            found.push(*symptom);
        }
    }
    // The place says more than that something is wrong.
    if found
        .iter()
        .any(|symptom| symptom.issue == Issue::ConfigInvalidAuthProfiles)
    {
        found.retain(|symptom| symptom.issue != Issue::ConfigInvalid);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issues(text: &str) -> Vec<Issue> {
        recognise(text)
            .iter()
            .map(|symptom| symptom.issue)
            .collect()
    }

    #[test]
    fn what_real_gateways_and_their_cli_say_is_known() {
        for (text, issue) in [
            (
                "Gateway failed to start: Invalid config at /x/openclaw.json:\nauth.profiles.anthropic:default.provider: Invalid input: expected string, received undefined",
                Issue::ConfigInvalidAuthProfiles,
            ),
            (
                "OpenClaw config is invalid\nProblem:\n  - auth.profiles.anthropic.mode: Invalid input",
                Issue::ConfigInvalidAuthProfiles,
            ),
            (
                "Config invalid: auth.profiles",
                Issue::ConfigInvalidAuthProfiles,
            ),
            (
                "Invalid config at /x/openclaw.json:\\n- gateway.port: Invalid input",
                Issue::ConfigInvalid,
            ),
            (
                "Missing config. Run `openclaw setup` or set gateway.mode=local (or pass --allow-unconfigured).",
                Issue::NoConfigurationFile,
            ),
            (
                "no configuration file provided: not found",
                Issue::NoConfigurationFile,
            ),
            (
                "gateway closed (1008): pairing required",
                Issue::PairingRequiredCli,
            ),
            ("missing scope: operator.pairing", Issue::PairingRequiredCli),
            (
                "unauthorized: gateway token mismatch (provide gateway auth token)",
                Issue::TokenMismatch,
            ),
        ] {
            assert_eq!(issues(text), [issue], "{text}");
        }
    }

    #[test]
    fn what_is_not_known_is_nothing_and_several_are_several() {
        assert!(issues("listening on ws://127.0.0.1:18789").is_empty());
        assert_eq!(
            issues("pairing required\nunauthorized: gateway TOKEN MISMATCH"),
            [Issue::TokenMismatch, Issue::PairingRequiredCli]
        );
    }
}
