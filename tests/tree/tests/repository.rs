//! The rules of `.ci/layers.toml`, held against this repository.

use openclaw_tree::Repository;

#[test]
fn imports_go_down_the_layers_and_the_figures_stay_below_their_limits() {
    let mut problems = Vec::new();
    for (_, mut measured) in Repository::here().layers().unwrap() {
        assert!(measured.code_lines > 1_000, "nothing was read");
        problems.append(&mut measured.problems);
    }

    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
