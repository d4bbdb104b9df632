//! Which methods an edition has, and which scope each of them wants.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

use crate::edition::Edition;

/// What a caller needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Required {
    Scope(&'static str),
    /// Only clients with role `node`.
    Node,
}

struct Table {
    scopes: HashMap<&'static str, &'static str>,
    advertised: Vec<Value>,
}

static OLD: LazyLock<Table> = LazyLock::new(|| parse(include_str!("data/2026.2.9.methods")));
static NEW: LazyLock<Table> = LazyLock::new(|| parse(include_str!("data/2026.9.6.methods")));

fn parse(text: &'static str) -> Table {
    let mut table = Table {
        scopes: HashMap::new(),
        advertised: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, scope)) = line.split_once(' ') else {
            continue;
        };
        let bare = name.strip_prefix('-');
        if bare.is_none() {
            table.advertised.push(name.into());
        }
        table.scopes.insert(bare.unwrap_or(name), scope);
    }
    table
}

fn table(edition: Edition) -> &'static Table {
    match edition {
        Edition::V2026_2_9 => &OLD,
        Edition::V2026_9_6 => &NEW,
    }
}

/// The methods that hello-ok names, in its order.
pub(crate) fn advertised(edition: Edition) -> &'static [Value] {
    &table(edition).advertised
}

/// Returns what a call of `method` needs; `None` for a method that the edition does not have.
pub(crate) fn required_scope(edition: Edition, method: &str, params: &Value) -> Option<Required> {
    let scope = *table(edition).scopes.get(method)?;
    Some(match scope {
        "node" => Required::Node,
        "dynamic" => Required::Scope(scope_by_params(method, params)),
        scope => Required::Scope(scope),
    })
}

/// Measured on 2026.9.6: some methods want more, depending on what they are asked.
fn scope_by_params(method: &str, params: &Value) -> &'static str {
    const READ: &str = "operator.read";
    const WRITE: &str = "operator.write";
    const ADMIN: &str = "operator.admin";
    let has = |name: &str| params.get(name).is_some();
    let is = |name: &str, value: &Value| params.get(name) == Some(value);
    match method {
        "agent" => {
            let message = params
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let command = message.split_whitespace().next().unwrap_or_default();
            let resets = message.starts_with('/')
                && ["/new", "/reset"]
                    .iter()
                    .any(|name| command.eq_ignore_ascii_case(name));
            if resets { ADMIN } else { WRITE }
        }
        "talk.config" => READ,
        "environments.list" if !has("runtimeId") => READ,
        "channels.pairing.approve" => "operator.pairing",
        "fs.listDir" if has("nodeId") => ADMIN,
        "sessions.delete" if !is("archivedOnly", &true.into()) => ADMIN,
        "sessions.create"
            if is("incognito", &true.into())
                || has("execNode")
                || has("toolOverrides")
                || is("permissionMode", &"full".into()) =>
        {
            ADMIN
        }
        "sessions.patch" if !is_simple_patch(params) => ADMIN,
        _ => WRITE,
    }
}

fn is_simple_patch(params: &Value) -> bool {
    const SIMPLE: [&str; 21] = [
        "key",
        "agentId",
        "expectedSessionId",
        "expectedLifecycleRevision",
        "expectedPermissionMode",
        "expectedMarkedUnreadAt",
        "label",
        "autoLabel",
        "icon",
        "color",
        "category",
        "boardFace",
        "boardPresentation",
        "pinned",
        "archived",
        "unread",
        "model",
        "agentRuntime",
        "thinkingLevel",
        "fastMode",
        "permissionMode",
    ];
    params.get("permissionMode").and_then(Value::as_str) != Some("full")
        && params
            .as_object()
            .is_none_or(|members| members.keys().all(|name| SIMPLE.contains(&name.as_str())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lists_are_complete() {
        assert_eq!(advertised(Edition::V2026_2_9).len(), 86);
        assert_eq!(advertised(Edition::V2026_9_6).len(), 466);
    }

    #[test]
    fn scopes_are_known_per_method() {
        let of = |edition, method| required_scope(edition, method, &json!({}));
        assert_eq!(
            of(Edition::V2026_9_6, "config.get"),
            Some(Required::Scope("operator.read"))
        );
        assert_eq!(
            of(Edition::V2026_2_9, "config.get"),
            Some(Required::Scope("operator.admin"))
        );
        assert_eq!(
            of(Edition::V2026_9_6, "agent"),
            Some(Required::Scope("operator.write"))
        );
        assert_eq!(of(Edition::V2026_9_6, "node.event"), Some(Required::Node));
        assert_eq!(of(Edition::V2026_2_9, "device.pair.remove"), None);
        assert_eq!(
            required_scope(
                Edition::V2026_9_6,
                "sessions.patch",
                &json!({"key": "k", "sendPolicy": 1})
            ),
            Some(Required::Scope("operator.admin"))
        );
    }
}
