use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

/// Makes a certificate for a server into its data directory, where its settings expect one.
pub(crate) fn certificate(data_directory: &Path) -> Result<(), String> {
    let (key, certificate) = (data_directory.join("server.key"), data_directory.join("server.crt"));
    let made = Command::new("openssl")
        .args(["req", "-new", "-x509", "-days", "2", "-nodes", "-subj", "/CN=plants"])
        .args(["-newkey", "rsa:2048", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .map_err(|e| format!("failed to run openssl: {e}"))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(format!("openssl made no certificate: {said}"));
    }
    // The server's user is another one where we are root.
    let owner = data_directory.metadata().map_err(|e| e.to_string())?.uid();
    for file in [&key, &certificate] {
        chown(file, Some(owner), None).map_err(|e| format!("{}: {e}", file.display()))?;
    }
    Ok(())
}
