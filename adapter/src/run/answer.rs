//! Reads the answers to `agent`, `chat.send` and `agent.wait` as one verdict.
//!
//! The two generations use the same status for different things, and one generation uses two for one
//! thing: an abort is `timeout` in the final answer of 2026.9.6 and `error` in its `agent.wait`. Measured
//! on 2026.9.6 and 2026.2.9.

#![cfg_attr(not(test), deny(clippy::disallowed_methods, clippy::disallowed_types))]

use serde_json::Value;

use super::item::Usage;
use super::json::{flag, number, owned, text};
use crate::protocol::GatewayError;

/// The longest text in a `terminalReply` of 2026.9.6, which cuts longer answers without a mark.
const REPLY_LIMIT: usize = 4096;

/// The `terminalReply` that 2026.9.6 adds at the end of a run: the last part of its answer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TerminalReply {
    pub(crate) text: Option<String>,
    pub(crate) cut: bool,
    /// The gateway's verdict is that the model said nothing.
    pub(crate) is_silent: bool,
}

impl TerminalReply {
    pub(crate) fn read(data: &Value) -> Option<Self> {
        let reply = data.get("terminalReply")?.as_object()?;
        let text = reply.get("text").and_then(Value::as_str);
        Some(Self {
            // Counted as the gateway does, in UTF-16; one less where a pair would have been split.
            cut: text.is_some_and(|text| text.encode_utf16().count() + 1 >= REPLY_LIMIT),
            text: text.map(ToOwned::to_owned),
            is_silent: matches!(
                reply.get("disposition").and_then(Value::as_str),
                Some("silent" | "empty")
            ),
        })
    }
}

/// The end of a run as an answer states it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    Done(Success),
    Failed {
        message: String,
    },
    Aborted,
    TimedOut {
        phase: Option<String>,
        message: Option<String>,
    },
    Superseded,
}

/// A success as an answer states it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Success {
    /// The text in the answer: on 2026.9.6 the last part only, on 2026.2.9 all of them.
    pub(crate) text: Option<String>,
    /// [`text`](Self::text) may be cut.
    pub(crate) cut: bool,
    pub(crate) usage: Option<Usage>,
    /// The answer does not show that this run itself did anything: the turn may have been queued,
    /// steered into another one, or failed (2026.2.9).
    pub(crate) without_result: bool,
    /// The gateway's verdict is that the model said nothing, whatever was streamed.
    pub(crate) is_silent: bool,
    /// The start of the run, by the gateway's clock.
    pub(crate) started_at_ms: Option<i64>,
}

impl Success {
    pub(crate) fn with_text(text: Option<String>) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

impl Verdict {
    /// Reads an error. 2026.7.35 reports an abort as one, without a stop reason.
    fn failed(message: String) -> Self {
        if message.contains("This operation was aborted") {
            Self::Aborted
        } else {
            Self::Failed { message }
        }
    }

    pub(crate) const fn started_at_ms(&self) -> Option<i64> {
        match self {
            Self::Done(success) => success.started_at_ms,
            _ => None,
        }
    }
}

/// The first answer to a request that starts a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ack {
    /// Accepted. A final answer to `agent` follows on the same connection, but not where 2026.2.9
    /// accepts the key of a running run again.
    Accepted,
    /// The run is active already; no other answer follows.
    InFlight,
    /// The run has ended already.
    Ended(Verdict),
    /// A command like `/stop` was carried out; there is no run.
    NoRun,
}

/// Reads the first answer to `agent` or `chat.send`; `None` if it is a refusal.
pub(crate) fn ack(payload: &Value, error: Option<&GatewayError>, protocol: u32) -> Option<Ack> {
    match text(payload, "status") {
        Some("accepted" | "started") if error.is_none() => Some(Ack::Accepted),
        Some("in_flight") if error.is_none() => Some(Ack::InFlight),
        Some(_) => final_answer(payload, error, protocol).map(Ack::Ended),
        // Measured: `/stop` as a message is answered `{ok, aborted, runIds}`.
        None if error.is_none() && payload.is_object() => Some(Ack::NoRun),
        None => None,
    }
}

/// Reads the final answer to `agent`, or the cached one that a repeated key gets; `None` if it says
/// nothing about a run.
pub(crate) fn final_answer(
    payload: &Value,
    error: Option<&GatewayError>,
    protocol: u32,
) -> Option<Verdict> {
    let status = text(payload, "status")?;
    let result = &payload["result"];
    let payloads = Payloads::read(&result["payloads"]);
    let failure = || {
        let message = payloads.error.clone().or_else(|| owned(payload, "summary"));
        message
            .or_else(|| error.map(|error| error.message.clone()))
            .unwrap_or_default()
    };
    if error.is_some() {
        return Some(Verdict::failed(failure()));
    }
    Some(match status {
        "ok" if payloads.error.is_some() && payloads.texts.is_empty() => Verdict::failed(failure()),
        // 2026.2.9 cannot abort an `agent` run: it only runs out of time.
        "ok" if flag(&result["meta"], "aborted") && protocol < 4 => Verdict::TimedOut {
            phase: None,
            message: None,
        },
        "ok" if flag(&result["meta"], "aborted") => Verdict::Aborted,
        "ok" => Verdict::Done(Success {
            text: (!payloads.texts.is_empty()).then(|| payloads.texts.join("\n\n")),
            cut: false,
            usage: usage(&result["meta"]["agentMeta"]["usage"]),
            without_result: !result.is_object(),
            is_silent: payloads.texts.is_empty() && result["payloads"].is_array(),
            // Measured on 2026.2.9: at most 20 ms before the run's own row in the history.
            started_at_ms: number(&result["meta"]["systemPromptReport"], "generatedAt"),
        }),
        "timeout" => match text(payload, "timeoutPhase") {
            Some(phase) => Verdict::TimedOut {
                phase: Some(phase.to_owned()),
                message: payloads.error,
            },
            None => by_stop_reason(text(payload, "stopReason")).unwrap_or(Verdict::Aborted),
        },
        _ => Verdict::failed(failure()),
    })
}

/// The texts in `result.payloads`.
struct Payloads {
    texts: Vec<String>,
    error: Option<String>,
}

impl Payloads {
    fn read(payloads: &Value) -> Self {
        let mut read = Self {
            texts: Vec::new(),
            error: None,
        };
        for payload in payloads.as_array().into_iter().flatten() {
            let Some(text) = owned(payload, "text") else {
                continue;
            };
            if flag(payload, "isError") {
                read.error.get_or_insert(text);
            } else if !text.is_empty() {
                read.texts.push(text);
            }
        }
        read
    }
}

/// An answer to `agent.wait`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WaitAnswer {
    /// Active or unknown: the gateway does not distinguish these.
    Running,
    /// The turn waits behind another one.
    Queued,
    Ended(Verdict),
}

/// Reads an answer to `agent.wait`.
pub(crate) fn wait_answer(payload: &Value) -> WaitAnswer {
    let has_ended = ["endedAt", "stopReason", "timeoutPhase"]
        .iter()
        .any(|name| payload.get(name).is_some());
    let reply = TerminalReply::read(payload);
    let error = owned(payload, "error");
    WaitAnswer::Ended(match text(payload, "status") {
        Some("pending") => return WaitAnswer::Queued,
        Some("ok") => Verdict::Done(Success {
            without_result: reply.is_none() && payload.get("terminalReceipt").is_none(),
            cut: reply.as_ref().is_some_and(|reply| reply.cut),
            is_silent: reply.as_ref().is_some_and(|reply| reply.is_silent),
            text: reply.and_then(|reply| reply.text),
            usage: None,
            started_at_ms: number(payload, "startedAt"),
        }),
        Some("timeout") if has_ended => match by_stop_reason(text(payload, "stopReason")) {
            Some(verdict) => verdict,
            None => Verdict::TimedOut {
                phase: owned(payload, "timeoutPhase"),
                message: error,
            },
        },
        Some("error") => match (text(payload, "stopReason"), error) {
            (_, Some(error)) if error == "aborted" => Verdict::Aborted,
            // `stop` also comes with the error of a model that said nothing.
            (Some("stop"), Some(message)) => Verdict::Failed { message },
            (reason, error) => {
                by_stop_reason(reason).unwrap_or_else(|| Verdict::failed(error.unwrap_or_default()))
            }
        },
        _ => return WaitAnswer::Running,
    })
}

/// Reads the stop reason of a run that did not end by itself.
///
/// Measured on 2026.9.6: `rpc` after `chat.abort`, `stop` after `/stop`, `aborted` where another turn
/// interrupted (queue mode `interrupt`), `superseded` where another writer replaced it.
pub(crate) fn by_stop_reason(reason: Option<&str>) -> Option<Verdict> {
    match reason? {
        "rpc" | "stop" => Some(Verdict::Aborted),
        "aborted" | "superseded" => Some(Verdict::Superseded),
        _ => None,
    }
}

pub(crate) fn usage(value: &Value) -> Option<Usage> {
    value.as_object()?;
    let count = |name| number(value, name).map(i64::unsigned_abs);
    Some(Usage {
        input: count("input"),
        output: count("output"),
        total: count("total").or_else(|| count("totalTokens")),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(message: &str) -> GatewayError {
        serde_json::from_value(json!({"code":"UNAVAILABLE","message":message})).unwrap()
    }

    #[test]
    fn both_statuses_of_an_abort_are_one_verdict() {
        let answer = final_answer(
            &json!({"runId":"r","status":"timeout","summary":"aborted","stopReason":"rpc"}),
            None,
            4,
        );
        assert_eq!(answer, Some(Verdict::Aborted));
        let waits = [
            json!({"status":"error","stopReason":"rpc","startedAt":1,"endedAt":2}),
            json!({"status":"error","stopReason":"rpc","endedAt":2,"error":"aborted"}),
            json!({"status":"error","stopReason":"stop","endedAt":2,"error":"aborted"}),
        ];
        for wait in waits {
            assert_eq!(
                wait_answer(&wait),
                WaitAnswer::Ended(Verdict::Aborted),
                "{wait}"
            );
        }
    }

    #[test]
    fn an_interrupted_turn_is_not_an_aborted_one() {
        let wait = json!({"status":"error","stopReason":"aborted","error":"Reply operation aborted by user","endedAt":1});
        assert_eq!(wait_answer(&wait), WaitAnswer::Ended(Verdict::Superseded));
    }

    #[test]
    fn a_model_that_said_nothing_has_failed_although_it_stopped() {
        let wait = json!({"status":"error","stopReason":"stop","livenessState":"abandoned","endedAt":1,
            "error":"⚠️ Agent couldn't generate a response. Please try again."});
        assert!(matches!(
            wait_answer(&wait),
            WaitAnswer::Ended(Verdict::Failed { message }) if message.contains("couldn't")
        ));
    }

    #[test]
    fn an_expired_wait_differs_from_a_run_that_timed_out() {
        assert_eq!(
            wait_answer(&json!({"runId":"r","status":"timeout"})),
            WaitAnswer::Running
        );
        let timed_out =
            json!({"status":"timeout","endedAt":1,"error":"too slow","timeoutPhase":"provider"});
        assert_eq!(
            wait_answer(&timed_out),
            WaitAnswer::Ended(Verdict::TimedOut {
                phase: Some("provider".to_owned()),
                message: Some("too slow".to_owned())
            })
        );
    }

    #[test]
    fn a_queued_turn_differs_from_a_running_one() {
        let pending = json!({"status":"pending","timeoutPhase":"queue","providerStarted":false});
        assert_eq!(wait_answer(&pending), WaitAnswer::Queued);
        let WaitAnswer::Ended(Verdict::Done(success)) =
            wait_answer(&json!({"status":"ok","endedAt":7}))
        else {
            panic!()
        };
        assert!(success.without_result);
    }

    #[test]
    fn success_with_nothing_but_errors_in_it_is_none() {
        let answer =
            json!({"runId":"r","status":"ok","result":{"payloads":[{"text":"no","isError":true}]}});
        assert_eq!(
            final_answer(&answer, None, 4),
            Some(Verdict::Failed {
                message: "no".to_owned()
            })
        );
        let answer = json!({"runId":"r","status":"error","summary":"failed","result":{"payloads":[{"text":"⚠️ failed","isError":true}]}});
        assert_eq!(
            final_answer(&answer, None, 4),
            Some(Verdict::Failed {
                message: "⚠️ failed".to_owned()
            })
        );
    }

    #[test]
    fn a_refusal_differs_from_a_failed_run() {
        let error = refused("missing scope: operator.write");
        assert_eq!(ack(&Value::Null, Some(&error), 4), None);
        let failed = json!({"runId":"r","status":"error","summary":"boom"});
        assert_eq!(
            ack(&failed, Some(&refused("boom")), 4),
            Some(Ack::Ended(Verdict::Failed {
                message: "boom".to_owned()
            }))
        );
        assert_eq!(
            ack(&json!({"status":"in_flight"}), None, 4),
            Some(Ack::InFlight)
        );
        assert_eq!(
            ack(&json!({"ok":true,"aborted":true,"runIds":[]}), None, 4),
            Some(Ack::NoRun)
        );
    }

    #[test]
    fn the_old_generation_can_only_run_out_of_time() {
        let answer = json!({"runId":"r","status":"ok","summary":"completed",
            "result":{"payloads":[],"meta":{"aborted":true}}});
        assert!(matches!(
            final_answer(&answer, None, 3),
            Some(Verdict::TimedOut { .. })
        ));
    }

    #[test]
    fn a_reply_of_the_greatest_length_is_taken_as_cut() {
        let reply =
            |n| TerminalReply::read(&json!({"terminalReply":{"text":"x".repeat(n)}})).unwrap();
        assert!(!reply(4094).cut);
        assert!(reply(4095).cut && reply(4096).cut);
    }
}
