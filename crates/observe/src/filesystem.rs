use std::path::Path;

/// The type of the file system that a path lies on: `ext4`, `xfs`, `tmpfs`, …; the magic number
/// for one that is not known here; `None` when the path does not exist or the platform does not
/// tell.
#[cfg(target_os = "linux")]
pub fn filesystem(path: &Path) -> Option<String> {
    let magic = rustix::fs::statfs(path).ok()?.f_type;
    // The field's width and sign differ between architectures; the magic numbers have 32 bits.
    Some(name(magic as u32).map_or_else(|| format!("{:#x}", magic as u32), str::to_owned))
}

/// The type of the file system that a path lies on; not known on this platform.
#[cfg(not(target_os = "linux"))]
pub fn filesystem(_path: &Path) -> Option<String> {
    None
}

/// The name of a magic number; see statfs(2) and linux/magic.h.
#[cfg(any(target_os = "linux", test))]
fn name(magic: u32) -> Option<&'static str> {
    Some(match magic {
        // ext2, ext3 and ext4 share a number; the older two are all but gone.
        0xEF53 => "ext4",
        0x5846_5342 => "xfs",
        0x9123_683E => "btrfs",
        0x0102_1994 => "tmpfs",
        0x8584_58F6 => "ramfs",
        0x794C_7630 => "overlayfs",
        0x2FC1_2FC1 => "zfs",
        0xF2F5_2010 => "f2fs",
        0xCA45_1A4E => "bcachefs",
        0x0000_6969 => "nfs",
        0xFF53_4D42 | 0xFE53_4D42 => "smb",
        0x0102_1997 => "9p",
        0x6573_5546 => "fuse",
        0x00C3_6400 => "ceph",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_have_names() {
        assert_eq!(name(0xEF53), Some("ext4"));
        assert_eq!(name(0xFF53_4D42), Some("smb"));
        assert_eq!(name(0x9fa0), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_path_is_looked_up() {
        assert_eq!(filesystem(Path::new("/proc")).as_deref(), Some("0x9fa0"));
        assert!(filesystem(&std::env::temp_dir()).is_some());
        assert_eq!(filesystem(Path::new("/does/not/exist")), None);
    }
}
