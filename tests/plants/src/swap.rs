use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Makes a device, swaps to it, says so, and takes it back when nobody is at the other end any more:
/// also when this process was killed.
const GUARD: &str = r#"
trap '' INT TERM HUP
id=$(cat /sys/class/zram-control/hot_add) || exit 1
device=/dev/zram$id
if echo "$1" > /sys/block/zram$id/disksize && mkswap "$device" > /dev/null && swapon -p 32767 "$device"; then
    echo ready
    read -r nothing
    swapoff "$device"
fi
echo "$id" > /sys/class/zram-control/hot_remove
"#;

/// A device in compressed memory (zram) that the machine swaps to until this is dropped.
#[derive(Debug)]
pub(crate) struct Swap {
    guard: Child,
}

impl Swap {
    pub(crate) fn start(bytes: u64) -> Result<Self, String> {
        let mut guard = Command::new("sh")
            .args(["-c", GUARD, "swap", &bytes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("failed to run sh: {e}"))?;
        let mut line = String::new();
        if let Some(said) = guard.stdout.take() {
            BufReader::new(said).read_line(&mut line).map_err(|e| e.to_string())?;
        }
        let swap = Self { guard };
        if line.trim_end() == "ready" {
            Ok(swap)
        } else {
            Err("no swap device in memory (zram): it takes root and a kernel with it".to_owned())
        }
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}
