//! A small validator that words its complaints as the gateways do.
//!
//! Both generations check parameters against closed JSON schemas. The old one reports every violation, the
//! new one only the first missing and the first unexpected property of an object; the texts differ slightly.

use serde_json::{Map, Value};

/// How an edition words schema violations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dialect {
    Old,
    New,
}

impl Dialect {
    pub(crate) const fn not(self) -> &'static str {
        match self {
            Self::Old => "NOT",
            Self::New => "not",
        }
    }

    /// The new one names only the first missing and the first unexpected property of an object.
    pub(crate) const fn reports_every_property(self) -> bool {
        matches!(self, Self::Old)
    }

    pub(crate) const fn not_in_enum(self, is_string: bool) -> &'static [&'static str] {
        match (self, is_string) {
            (Self::Old, true) => &["must be equal to constant", "must match a schema in anyOf"],
            (Self::Old, false) => &[
                "must be string",
                "must be equal to constant",
                "must match a schema in anyOf",
            ],
            (Self::New, _) => &["must be equal to one of the allowed values"],
        }
    }
}

/// What a value has to be.
#[derive(Debug)]
pub(crate) enum Rule {
    Any,
    Bool,
    /// A string of at least `min` and at most `max` characters.
    Text {
        min: usize,
        max: usize,
    },
    Int {
        min: i64,
        max: i64,
    },
    /// One of a closed list of strings.
    OneOf(&'static [&'static str]),
    /// Exactly this string.
    Const(&'static str),
    List(&'static Self),
    /// An object with free keys and values of one kind.
    Map(&'static Self),
    Object(&'static [Field]),
    /// An object that may carry more than what is listed.
    OpenObject(&'static [Field]),
}

#[derive(Debug)]
pub(crate) struct Field {
    name: &'static str,
    rule: Rule,
    required: bool,
}

pub(crate) const TEXT: Rule = Rule::Text {
    min: 0,
    max: usize::MAX,
};
pub(crate) const NON_EMPTY: Rule = Rule::Text {
    min: 1,
    max: usize::MAX,
};
pub(crate) const TEXTS: Rule = Rule::List(&NON_EMPTY);

pub(crate) const fn int(min: i64) -> Rule {
    Rule::Int { min, max: i64::MAX }
}

pub(crate) const fn req(name: &'static str, rule: Rule) -> Field {
    Field {
        name,
        rule,
        required: true,
    }
}

pub(crate) const fn opt(name: &'static str, rule: Rule) -> Field {
    Field {
        name,
        rule,
        required: false,
    }
}

/// Every complaint about `value`, joined the way the gateways join them; `None` when it is valid.
///
/// `None` as value stands for an absent one, which is no object.
pub(crate) fn complaints(rule: &Rule, value: Option<&Value>, dialect: Dialect) -> Option<String> {
    let mut found = Vec::new();
    match value {
        Some(value) => check(rule, value, &mut String::new(), dialect, &mut found),
        None => found.push("must be object".to_owned()),
    }
    let mut unique: Vec<String> = Vec::with_capacity(found.len());
    for text in found {
        if !unique.contains(&text) {
            unique.push(text);
        }
    }
    (!unique.is_empty()).then(|| unique.join("; "))
}

fn check(rule: &Rule, value: &Value, path: &mut String, dialect: Dialect, out: &mut Vec<String>) {
    let say = |path: &str, text: &str| {
        if path.is_empty() {
            text.to_owned()
        } else {
            format!("at {path}: {text}")
        }
    };
    match rule {
        Rule::Any => {}
        Rule::Bool => {
            if !value.is_boolean() {
                out.push(say(path, "must be boolean"));
            }
        }
        Rule::Text { min, max } => match value.as_str() {
            None => out.push(say(path, "must be string")),
            Some(text) => {
                let length = text.chars().count();
                let not = dialect.not();
                if length < *min {
                    out.push(say(
                        path,
                        &format!("must {not} have fewer than {min} characters"),
                    ));
                } else if length > *max {
                    out.push(say(
                        path,
                        &format!("must {not} have more than {max} characters"),
                    ));
                }
            }
        },
        Rule::Int { min, max } => match whole_number(value) {
            None => out.push(say(path, "must be integer")),
            Some(number) if number < i128::from(*min) => {
                out.push(say(path, &format!("must be >= {min}")));
            }
            Some(number) if number > i128::from(*max) => {
                out.push(say(path, &format!("must be <= {max}")));
            }
            Some(_) => {}
        },
        Rule::OneOf(allowed) => {
            if value.as_str().is_none_or(|text| !allowed.contains(&text)) {
                for text in dialect.not_in_enum(value.is_string()) {
                    out.push(say(path, text));
                }
            }
        }
        Rule::Const(expected) => {
            if !value.is_string() {
                out.push(say(path, "must be string"));
            }
            if value.as_str() != Some(expected) {
                out.push(say(path, "must be equal to constant"));
            }
        }
        Rule::List(item) => match value.as_array() {
            None => out.push(say(path, "must be array")),
            Some(items) => {
                for (index, value) in items.iter().enumerate() {
                    within(path, &index.to_string(), |path| {
                        check(item, value, path, dialect, out);
                    });
                }
            }
        },
        Rule::Map(item) => match value.as_object() {
            None => out.push(say(path, "must be object")),
            Some(members) => {
                for (name, value) in members {
                    within(path, name, |path| check(item, value, path, dialect, out));
                }
            }
        },
        Rule::Object(fields) | Rule::OpenObject(fields) => match value.as_object() {
            None => out.push(say(path, "must be object")),
            Some(members) => {
                let closed = matches!(rule, Rule::Object(_));
                check_object(fields, members, closed, path, dialect, out);
            }
        },
    }
}

fn check_object(
    fields: &[Field],
    members: &Map<String, Value>,
    closed: bool,
    path: &mut String,
    dialect: Dialect,
    out: &mut Vec<String>,
) {
    let per_keyword = if dialect.reports_every_property() {
        usize::MAX
    } else {
        1
    };
    let place = if path.is_empty() {
        String::new()
    } else {
        format!("at {path}: ")
    };
    let missing = fields
        .iter()
        .filter(|field| field.required && !members.contains_key(field.name));
    for field in missing.take(per_keyword) {
        out.push(format!(
            "{place}must have required property '{}'",
            field.name
        ));
    }
    if closed {
        let place = if path.is_empty() {
            "at root"
        } else {
            &*format!("at {path}")
        };
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        for name in members.keys().filter(|name| !known(name)).take(per_keyword) {
            out.push(format!("{place}: unexpected property '{name}'"));
        }
    }
    for field in fields {
        if let Some(value) = members.get(field.name) {
            within(path, field.name, |path| {
                check(&field.rule, value, path, dialect, out);
            });
        }
    }
}

fn within(path: &mut String, step: &str, run: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    run(path);
    path.truncate(length);
}

/// JSON has one kind of number: `3.0` is an integer to both gateways.
fn whole_number(value: &Value) -> Option<i128> {
    let number = value.as_number()?;
    if let Some(number) = number.as_i64() {
        return Some(i128::from(number));
    }
    if let Some(number) = number.as_u64() {
        return Some(i128::from(number));
    }
    let number = number.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be whole; saturates beyond"
    )]
    (number.fract() == 0.0).then_some(number as i128)
}
