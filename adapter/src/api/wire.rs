//! Macros for the types of this module: code that is the same for each of them is written
//! here once.

/// Defines an enum of strings on the wire, with an arm for strings that are added later.
macro_rules! string_enum {
    (
        $(#[$meta:meta])*
        $name:ident { $( $(#[$arm_meta:meta])* $arm:ident = $text:literal, )+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[$arm_meta])* $arm, )+
            /// A value that this crate does not know.
            Other(String),
        }

        impl $name {
            /// Returns the string on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$arm => $text, )+
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $( $text => Self::$arm, )+
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&$crate::base::sanitize::printable(self.as_str()))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                Ok(Self::from(text.as_str()))
            }
        }
    };
}

/// Defines an answer as a struct: fields that it `has`, fields that it `may_have`, `lists` that
/// may be absent, and the rest, kept under its own names.
macro_rules! answer {
    (
        $(#[$meta:meta])*
        $name:ident {
            $( has { $( $(#[$has_meta:meta])* $has:ident : $has_type:ty, )+ } )?
            $( may_have { $( $(#[$may_meta:meta])* $may:ident : $may_type:ty, )+ } )?
            $( lists { $( $(#[$list_meta:meta])* $list:ident : $list_type:ty, )+ } )?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        #[non_exhaustive]
        pub struct $name {
            $($( $(#[$has_meta])* pub $has: $has_type, )+)?
            $($(
                $(#[$may_meta])*
                #[serde(
                    default,
                    deserialize_with = "crate::api::lenient::option",
                    skip_serializing_if = "Option::is_none"
                )]
                pub $may: Option<$may_type>,
            )+)?
            $($(
                $(#[$list_meta])*
                #[serde(default, deserialize_with = "crate::api::lenient::list")]
                pub $list: Vec<$list_type>,
            )+)?
            /// Further fields of the answer.
            #[serde(flatten)]
            pub other: serde_json::Map<String, serde_json::Value>,
        }
    };
}

/// The parameters of a method: what it `needs`, what it `may_have`, and in which of the latter the
/// generations differ. Gateways refuse what they do not know, so nothing is sent that was not set.
macro_rules! params {
    (
        $(#[$meta:meta])*
        $name:ident: $method:literal, $effect:ident $(, since $since:literal)? => $answer:ty {
            $(may_have {
                $( $(#[$may_meta:meta])* $may:ident : $may_type:tt $(, since $may_since:literal)?; )+
            })?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("\n\nOn the wire: `", $method, "`.")]
        #[doc(alias = $method)]
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        // Where there is no field, anybody could write `Name {}`, and the first one would break that.
        #[non_exhaustive]
        pub struct $name {
            $($(
                #[serde(skip_serializing_if = "Option::is_none")]
                $may: Option<$may_type>,
            )+)?
        }

        impl $name {
            #[doc = concat!("The parameters of `", $method, "`, with nothing set.")]
            #[must_use]
            pub const fn new() -> Self {
                Self { $($( $may: None, )+)? }
            }
        }

        crate::api::wire::builders!($name { $($( $(#[$may_meta])* $may: $may_type; )+)? });
        crate::api::wire::method!(
            $name: $method, $effect $(, since $since)? => $answer {
                $($( $($may: $may_since;)? )+)?
            }
        );
    };
    (
        $(#[$meta:meta])*
        $name:ident: $method:literal, $effect:ident $(, since $since:literal)? => $answer:ty {
            needs { $( $(#[$need_meta:meta])* $need:ident : $need_type:tt; )+ }
            $(may_have {
                $( $(#[$may_meta:meta])* $may:ident : $may_type:tt $(, since $may_since:literal)?; )+
            })?
        }
    ) => {
        $(#[$meta])*
        #[doc = concat!("\n\nOn the wire: `", $method, "`.")]
        #[doc(alias = $method)]
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $( $(#[$need_meta])* $need: $need_type, )+
            $($(
                #[serde(skip_serializing_if = "Option::is_none")]
                $may: Option<$may_type>,
            )+)?
        }

        impl $name {
            #[doc = concat!("The parameters of `", $method, "`, with nothing optional set.")]
            #[must_use]
            pub fn new($( $need: crate::api::wire::argument!($need_type) ),+) -> Self {
                Self {
                    $( $need: $need.into(), )+
                    $($( $may: None, )+)?
                }
            }
        }

        crate::api::wire::builders!($name { $($( $(#[$may_meta])* $may: $may_type; )+)? });
        crate::api::wire::method!(
            $name: $method, $effect $(, since $since)? => $answer {
                $($( $($may: $may_since;)? )+)?
            }
        );
    };
}

/// A method of the struct for each optional parameter.
macro_rules! builders {
    ($name:ident {}) => {};
    ($name:ident { $( $(#[$meta:meta])* $field:ident: $type:tt; )+ }) => {
        impl $name {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $field(mut self, $field: crate::api::wire::argument!($type)) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )+
        }
    };
}

/// The parameters as a method of the gateway; `field: n;` is one that protocols below `n` refuse.
macro_rules! method {
    (
        $name:ident: $method:literal, $effect:ident $(, since $since:literal)? => $answer:ty {
            $( $field:ident: $field_since:literal; )*
        }
    ) => {
        impl crate::protocol::method::Method for $name {
            const NAME: &'static str = $method;
            const EFFECT: crate::protocol::method::Effect = crate::protocol::method::Effect::$effect;
            $( const SINCE_PROTOCOL: u32 = $since; )?
            type Answer = $answer;

            crate::api::wire::unsupported!($( $field: $field_since; )*);
        }
    };
}

/// Names the first parameter that is set and that the protocol does not have.
macro_rules! unsupported {
    () => {};
    ($( $field:ident: $since:literal; )+) => {
        fn unsupported_parameter(&self, protocol: u32) -> Option<String> {
            $(
                if protocol < $since && self.$field.is_some() {
                    return Some(crate::api::wire::camel_case(stringify!($field)));
                }
            )+
            None
        }
    };
}

/// The argument type of a setter: text, and types made of text, as anything that converts to it.
macro_rules! argument {
    (String) => { impl Into<String> };
    (Setting) => { impl Into<Setting> };
    ($type:tt) => { $type };
}

pub(crate) use {answer, argument, builders, method, params, string_enum, unsupported};

/// A list of texts, as one token for the macros.
pub(crate) type Texts = Vec<String>;

/// The name on the wire of a field.
pub(crate) fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::camel_case;

    #[test]
    fn a_field_has_the_name_that_serde_gives_it() {
        assert_eq!(camel_case("limit"), "limit");
        assert_eq!(camel_case("include_last_message"), "includeLastMessage");
    }
}
