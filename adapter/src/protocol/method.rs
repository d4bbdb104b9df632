//! What a method of the gateway is: its name on the wire, its parameters, its answer.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A method of the gateway, with its types.
///
/// The value itself is the parameters: it is serialised as the `params` of the request. Gateways of
/// both generations refuse properties that they do not know, so an optional parameter that is not
/// given is left out rather than sent as `null`.
///
/// The crate implements it for what it wraps; implement it for what it does not:
///
/// ```
/// use openclaw_adapter::{Effect, Method};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize)]
/// struct SkillsStatus {}
///
/// #[derive(Deserialize)]
/// struct Skills {
///     skills: Vec<serde_json::Value>,
/// }
///
/// impl Method for SkillsStatus {
///     const NAME: &'static str = "skills.status";
///     const EFFECT: Effect = Effect::Reads;
///     type Answer = Skills;
/// }
/// ```
pub trait Method: Serialize {
    /// The name on the wire.
    const NAME: &'static str;
    /// What calling it does.
    const EFFECT: Effect;
    /// The lowest protocol that has it: 3 is the 2026.2 generation, 4 the 2026.9 generation.
    const SINCE_PROTOCOL: u32 = 3;
    /// How often it is answered.
    const ANSWERS: AnswerMode = AnswerMode::Once;
    /// The payload of its answer; of the last one, if there are two.
    type Answer: DeserializeOwned;

    /// The name on the wire of a parameter that is set and that this protocol does not have: the
    /// gateway would refuse it.
    fn unsupported_parameter(&self, protocol: u32) -> Option<String> {
        let _ = protocol;
        None
    }
}

/// What calling a method does, and so what a call of unknown fate means.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// Nothing changes: it may be called again at will.
    Reads,
    /// Something changes, and the same call once more changes nothing further.
    Idempotent,
    /// Something changes each time.
    Changes,
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AnswerMode {
    /// One answer.
    #[default]
    Once,
    /// First `status: "accepted"`, and the answer proper later under the same id. Measured: only
    /// `agent` and, with `twoPhase`, `exec.approval.request` of 2026.9.6.
    AcceptedThenFinal,
}
