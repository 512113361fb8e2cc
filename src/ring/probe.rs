//! What must hold before a shard starts, asked once at boot, so that what is wrong is one line and not a panic later.

use super::options::{Error, Options};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io;

/// The first kernel with all of multishot receive, deferred task running and zero-copy send.
const MIN_KERNEL: (u32, u32) = (6, 1);
/// Descriptors that are no clients: listeners, logs, snapshots, standard streams (Redis reserves as many).
const RESERVED: u64 = 32;
/// Descriptors that each shard needs: its ring, its bell, its log, the one that replaces it.
const PER_SHARD: u64 = 4;
/// Bytes of memory that may be locked: whoever works on files, snapshots and logs, asks for so many before it begins.
const LOCKED_LEAST: u64 = 512 << 10;

/// What this machine grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Clients that the limit of open files allows.
    pub clients: usize,
}

/// Checks the kernel, raises the limit of locked memory as far as it goes, and the soft limit of open files, so that `maxclients` can be
/// changed while the server runs; and the hard one, where that is allowed, to what `max_clients` and `shards` need. Room for fewer clients than
/// asked for is no error, as in Redis; for none at all is.
pub fn check(max_clients: usize, shards: usize) -> Result<Granted, Error> {
    let release = nix::sys::utsname::uname().map_err(|errno| Error::Call { call: "uname", errno })?;
    let release = release.release().to_string_lossy();
    if kernel_version(&release).is_some_and(|version| version < MIN_KERNEL) {
        return Err(Error::OldKernel(release.into_owned()));
    }
    raise_locked_memory()?;
    // A ring as the shards will have it, small and gone at once.
    let small =
        Options { entries: 4, cq_entries: 8, recv_buffers: 1, recv_buffer_bytes: 4096, ..Options::default() };
    super::open(&small)?;
    let clients = raise_open_files(max_clients, shards)?;
    Ok(Granted { clients })
}

/// Names the reason why io_uring_setup failed.
pub(super) fn setup_error(e: io::Error) -> Error {
    let disabled = std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let disabled = disabled.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    explain(Errno::from_raw(e.raw_os_error().unwrap_or(0)), disabled)
}

fn explain(errno: Errno, disabled: u8) -> Error {
    match errno {
        Errno::EPERM if disabled > 0 => Error::Disabled(disabled),
        Errno::EPERM | Errno::EACCES | Errno::ENOSYS => Error::Refused(errno),
        Errno::ENOMEM => {
            let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).unwrap_or((0, 0));
            Error::Memory(soft)
        }
        Errno::EMFILE | Errno::ENFILE => {
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((0, 0));
            Error::OpenFiles { needed: soft + 1, hard }
        }
        // An option that the kernel doesn't know, whatever its release string says.
        Errno::EINVAL => Error::OldKernel(
            nix::sys::utsname::uname()
                .map(|u| u.release().to_string_lossy().into_owned())
                .unwrap_or_default(),
        ),
        errno => Error::Call { call: "io_uring_setup", errno },
    }
}

/// Raises the limits of open files; returns the clients that they allow.
fn raise_open_files(max_clients: usize, shards: usize) -> Result<usize, Error> {
    let call = |errno| Error::Call { call: "getrlimit", errno };
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(call)?;
    let apart = RESERVED + PER_SHARD * shards as u64;
    let needed = apart + max_clients as u64;
    // Above the hard limit only root may go; trying costs nothing.
    let most = hard.max(needed);
    let reached = if setrlimit(Resource::RLIMIT_NOFILE, most, most).is_ok() {
        most
    } else {
        let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
        if raised.is_ok() { hard } else { soft }
    };
    allowed(reached, apart).ok_or(Error::OpenFiles { needed: apart + 1, hard })
}

/// Raises the limit of locked memory. Too low, nothing could be saved or logged, and with a dataset it would look like one that is damaged.
fn raise_locked_memory() -> Result<(), Error> {
    let call = |errno| Error::Call { call: "getrlimit", errno };
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK).map_err(call)?;
    let most = hard.max(LOCKED_LEAST);
    if soft < most && setrlimit(Resource::RLIMIT_MEMLOCK, most, most).is_err() {
        return if soft < LOCKED_LEAST { Err(Error::Memory(soft)) } else { Ok(()) };
    }
    Ok(())
}

/// Clients that fit into `limit` descriptors, if any do.
fn allowed(limit: u64, apart: u64) -> Option<usize> {
    limit.checked_sub(apart).filter(|&clients| clients > 0).map(|clients| clients as usize)
}

/// The leading `major.minor` of a release string such as `6.1.0-18-amd64`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(kernel_version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(kernel_version("5.15.0"), Some((5, 15)));
        assert_eq!(kernel_version("7.0-rc1"), Some((7, 0)));
        assert_eq!(kernel_version("odd"), None);
    }

    #[test]
    fn this_machine_passes() {
        assert!(check(100, 2).is_ok_and(|granted| granted.clients >= 100));
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        let line = |errno, disabled| explain(errno, disabled).to_string();
        assert!(line(Errno::EPERM, 2).contains("kernel.io_uring_disabled=0"));
        assert!(line(Errno::EPERM, 1).contains("io_uring_group"));
        assert!(line(Errno::EPERM, 0).contains("seccomp"));
        assert!(line(Errno::ENOSYS, 0).contains("CONFIG_IO_URING"));
        assert!(line(Errno::ENOMEM, 0).contains("ulimit -l"));
        assert!(line(Errno::EMFILE, 0).contains("open files"));
        assert!(line(Errno::EINVAL, 0).contains("6.1"));
        assert!(!line(Errno::ENOMEM, 0).contains('\n'));
    }

    #[test]
    fn a_low_limit_lowers_the_clients() {
        assert_eq!(allowed(1024, 40), Some(984));
        assert_eq!(allowed(40, 40), None);
        assert_eq!(allowed(10, 40), None);
    }
}
