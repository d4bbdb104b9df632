//! Lists of roles and scopes.

/// Joins lists, keeping the order of first appearance.
pub(crate) fn merged<'a>(lists: impl IntoIterator<Item = &'a [String]>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for item in lists.into_iter().flatten() {
        let item = item.trim();
        if !item.is_empty() && !out.iter().any(|known| known == item) {
            out.push(item.to_owned());
        }
    }
    out
}

/// Sorted and without repetition; with `imply`, also what the scopes bring with them.
pub(crate) fn normalised(scopes: &[String], imply: bool) -> Vec<String> {
    let mut out = merged([scopes]);
    let has = |name: &str| out.iter().any(|scope| scope == name);
    let implied: &[&str] = match (imply, has("operator.admin"), has("operator.write")) {
        (true, true, _) => &["operator.read", "operator.write"],
        (true, false, true) => &["operator.read"],
        _ => &[],
    };
    out.extend(implied.iter().map(|scope| (*scope).to_owned()));
    out.sort();
    out.dedup();
    out
}

/// Returns whether `held` gives an operator `scope`; measured on 2026.9.6.
pub(crate) fn operator_covers(scope: &str, held: &[String]) -> bool {
    let has = |name: &str| held.iter().any(|held| held == name);
    if !scope.starts_with("operator.") {
        return false;
    }
    has(scope)
        || has("operator.admin")
        || (has("operator.write")
            && matches!(
                scope,
                "operator.read"
                    | "operator.talk"
                    | "operator.sessions.read"
                    | "operator.sessions.write"
            ))
        || (scope == "operator.sessions.read"
            && (has("operator.read") || has("operator.sessions.write")))
}

/// The first of `asked` that `held` does not cover for `role`.
pub(crate) fn first_missing<'a>(
    role: &str,
    asked: &'a [String],
    held: &[String],
    imply: bool,
) -> Option<&'a str> {
    asked.iter().map(String::as_str).find(|scope| {
        let plain = held.iter().any(|held| held == scope);
        !match (imply, role) {
            (false, _) => plain,
            (true, "operator") => operator_covers(scope, held),
            (true, role) => {
                plain
                    && scope
                        .strip_prefix(role)
                        .is_some_and(|rest| rest.starts_with('.'))
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|scope| (*scope).to_owned()).collect()
    }

    #[test]
    fn only_the_new_generation_knows_implication() {
        let admin = list(&["operator.admin"]);
        let asked = list(&["operator.pairing"]);
        assert_eq!(first_missing("operator", &asked, &admin, true), None);
        assert_eq!(
            first_missing("operator", &asked, &admin, false),
            Some("operator.pairing")
        );
        assert_eq!(
            first_missing("node", &asked, &asked, true),
            Some("operator.pairing")
        );
        assert_eq!(
            normalised(&list(&["operator.write", "operator.admin"]), true),
            list(&["operator.admin", "operator.read", "operator.write"])
        );
    }
}
