//! How much is free where the log lies.

use nix::sys::statvfs::statvfs;
use std::path::Path;

/// Bytes that this process may still take on the file system of a directory; none when it does not tell.
pub(super) fn room(dir: &Path) -> Option<u64> {
    let about = statvfs(dir).ok()?;
    Some((about.blocks_available() as u64).saturating_mul(about.fragment_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_none_has_none() {
        assert!(room(&std::env::temp_dir()).is_some_and(|bytes| bytes > 0));
        assert_eq!(room(Path::new("/no/such/directory")), None);
    }
}
