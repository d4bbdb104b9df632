//! As much of JSON Schema (2020-12) as the schema of scenarios uses. Anything else in it fails the test.

use serde_json::Value;

/// Whether a value is as the schema says.
pub(crate) fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().expect("a schema is an object here");
    let list = |rule: &Value| rule.as_array().expect("a list of schemas").clone();
    rules.iter().all(|(word, rule)| match word.as_str() {
        "$schema" | "$defs" | "title" | "description" | "then" => true,
        "$ref" => {
            let pointer = rule.as_str().and_then(|text| text.strip_prefix('#'));
            let target = pointer.and_then(|pointer| root.pointer(pointer));
            fits(root, target.expect("a definition"), value)
        }
        "type" => has_type(rule.as_str().expect("a type"), value),
        "const" => rule == value,
        "enum" => list(rule).contains(value),
        "allOf" => list(rule).iter().all(|schema| fits(root, schema, value)),
        "anyOf" => list(rule).iter().any(|schema| fits(root, schema, value)),
        "oneOf" => {
            let fitting = list(rule)
                .iter()
                .filter(|schema| fits(root, schema, value))
                .count();
            fitting == 1
        }
        "not" => !fits(root, rule, value),
        "if" => !fits(root, rule, value) || fits(root, &rules["then"], value),
        "minimum" => value.as_f64().is_none_or(|number| number >= limit(rule)),
        "maximum" => value.as_f64().is_none_or(|number| number <= limit(rule)),
        "minLength" => length(value).is_none_or(|length| length >= count(rule)),
        "maxLength" => length(value).is_none_or(|length| length <= count(rule)),
        "minItems" => value
            .as_array()
            .is_none_or(|items| items.len() >= count(rule)),
        "items" => value
            .as_array()
            .is_none_or(|items| items.iter().all(|item| fits(root, rule, item))),
        "required" => value.as_object().is_none_or(|members| {
            list(rule)
                .iter()
                .all(|name| members.contains_key(text(name)))
        }),
        "dependentRequired" => value.as_object().is_none_or(|members| {
            rule.as_object()
                .expect("lists by name")
                .iter()
                .all(|(name, needed)| {
                    !members.contains_key(name)
                        || list(needed)
                            .iter()
                            .all(|needed| members.contains_key(text(needed)))
                })
        }),
        "properties" => rule
            .as_object()
            .expect("schemas by name")
            .iter()
            .all(|(name, schema)| {
                value
                    .get(name)
                    .is_none_or(|member| fits(root, schema, member))
            }),
        "additionalProperties" => value.as_object().is_none_or(|members| {
            let known = |name: &String| {
                rules
                    .get("properties")
                    .is_some_and(|known| known.get(name).is_some())
            };
            members
                .iter()
                .filter(|(name, _)| !known(name))
                .all(|(_, member)| match rule {
                    Value::Bool(allowed) => *allowed,
                    schema => fits(root, schema, member),
                })
        }),
        other => panic!("the schema says {other}, which nothing checks"),
    })
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a name")
}

fn limit(rule: &Value) -> f64 {
    rule.as_f64().expect("a number")
}

fn count(rule: &Value) -> usize {
    let count = rule.as_u64().and_then(|count| usize::try_from(count).ok());
    count.expect("a count")
}

fn length(value: &Value) -> Option<usize> {
    value.as_str().map(|text| text.chars().count())
}

fn has_type(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("the type {other} is not checked"),
    }
}
