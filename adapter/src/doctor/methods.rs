//! The scope that each method of the gateway needs. No I/O.

/// The scopes that a caller of a method needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Needs {
    /// To be logged in.
    Nothing,
    /// This scope; more for some parameters.
    Scope(&'static str),
    /// The role `node`, which a backend has not.
    NodeRole,
}

/// Returns the scopes that `method` needs on a gateway of this protocol; `None` if it was not among the methods of
/// the release that was measured (2026.2.9 or 2026.9.6).
pub(super) fn needs(protocol: u32, method: &str) -> Option<Needs> {
    let table = if protocol <= 3 {
        include_str!("data/scopes-2026.2.9")
    } else {
        include_str!("data/scopes-2026.9.6")
    };
    let scope = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .find(|(_, methods)| methods.split(' ').any(|name| name == method))?
        .0;
    Some(match scope {
        "-" => Needs::Nothing,
        "node" => Needs::NodeRole,
        scope => Needs::Scope(scope),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_generation_has_its_own_answer() {
        assert_eq!(needs(3, "config.get"), Some(Needs::Scope("operator.admin")));
        assert_eq!(needs(4, "config.get"), Some(Needs::Scope("operator.read")));
        assert_eq!(needs(3, "health"), Some(Needs::Scope("operator.read")));
        assert_eq!(needs(4, "health"), Some(Needs::Nothing));
        for protocol in [3, 4] {
            assert_eq!(
                needs(protocol, "agent"),
                Some(Needs::Scope("operator.write"))
            );
            assert_eq!(
                needs(protocol, "device.pair.list"),
                Some(Needs::Scope("operator.pairing"))
            );
            assert_eq!(needs(protocol, "node.event"), Some(Needs::NodeRole));
            assert_eq!(needs(protocol, "no.such.method"), None);
        }
        assert_eq!(needs(3, "device.pair.remove"), None);
    }

    #[test]
    fn a_line_of_the_table_is_no_method() {
        for name in ["", "-:", "operator.read:", "#", "Measured"] {
            assert_eq!(needs(4, name), None, "{name:?}");
        }
    }
}
