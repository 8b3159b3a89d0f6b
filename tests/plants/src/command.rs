use std::path::PathBuf;

/// The built `pinchpoint` beside the program that runs: `target/debug` or `target/release`.
pub fn pinchpoint() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|e| format!("failed to find this program: {e}"))?;
    let beside = own.ancestors().skip(1).take(2).map(|d| d.join("pinchpoint"));
    beside.into_iter().find(|p| p.is_file()).ok_or_else(|| {
        format!("no pinchpoint beside {}: run `cargo build -p pinchpoint`", own.display())
    })
}
