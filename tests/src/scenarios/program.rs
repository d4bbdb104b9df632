//! Where the program under test is.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The adapter's program: `OPENCLAW_ADAPTER_BIN`, else the one built beside the running executable.
///
/// # Errors
///
/// With what to build, where there is none.
pub fn adapter_program() -> anyhow::Result<PathBuf> {
    if let Some(named) = std::env::var_os("OPENCLAW_ADAPTER_BIN") {
        let named = PathBuf::from(named);
        if named.is_file() {
            return Ok(named);
        }
        bail!(
            "OPENCLAW_ADAPTER_BIN names {}, which is not a file",
            named.display()
        );
    }
    let running = std::env::current_exe().context("find the running executable")?;
    let name = format!("openclaw-adapter{}", std::env::consts::EXE_SUFFIX);
    // A test runs from `deps`, one below where the programs are.
    running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|dir| dir.join(&name))
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "there is no {name} near {}: run `cargo test --workspace`, or build it with \
                 `cargo build -p openclaw-adapter --features cli`",
                running.parent().unwrap_or_else(|| Path::new(".")).display()
            )
        })
}
