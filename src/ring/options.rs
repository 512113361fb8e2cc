//! What a ring is opened with, and what can go wrong with it, each in one line that says what to do.

use nix::errno::Errno;
use std::fmt;

/// Sizes of a ring. The defaults suit one shard with up to tens of thousands of connections.
#[derive(Clone, Debug)]
pub struct Options {
    /// Entries of the submission queue; a full one is submitted early, so this bounds the batch, not the work.
    pub entries: u32,
    /// Entries of the completion queue. The kernel keeps what doesn't fit, at the price of ended multishots.
    pub cq_entries: u32,
    /// Receive buffers shared by all connections, at most 32,768.
    pub recv_buffers: u16,
    /// Bytes of one receive buffer.
    pub recv_buffer_bytes: u32,
    /// Chunks of at least this many bytes go out by zero-copy send; `usize::MAX` never. That is the default, because
    /// it must earn its notification: on loopback (Linux 6.18, one server core, 10 connections) it took 1.1 times the CPU
    /// of a plain send at 256 KiB a reply, 1.3 times at 1 MiB, 1.05 times at 4 MiB. A network card may differ.
    pub zero_copy_from: usize,
    /// An argument of which so many bytes are missing is received straight into the buffer that it is in.
    pub fill_from: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            entries: 512,
            cq_entries: 4096,
            recv_buffers: 1024,
            recv_buffer_bytes: 16 * 1024,
            zero_copy_from: usize::MAX,
            fill_from: 16 * 1024,
        }
    }
}

/// An operating error of the ring: printed, it is one line that says what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The kernel is older than 6.1; its release string.
    OldKernel(String),
    /// `kernel.io_uring_disabled` has this value, 1 or 2, and forbids it to us.
    Disabled(u8),
    /// The kernel refused io_uring altogether: seccomp, or a kernel built without it.
    Refused(Errno),
    /// Not enough memory that may be locked, or not enough memory; the soft limit of memlock in bytes.
    Memory(u64),
    /// The limit of open files leaves no room for a single client: what is needed, and the hard limit.
    OpenFiles { needed: u64, hard: u64 },
    /// A call failed in a way that has no better name.
    Call { call: &'static str, errno: Errno },
}

impl Error {
    /// A call failed.
    pub(super) fn call(call: &'static str, e: &std::io::Error) -> Error {
        Error::Call { call, errno: Errno::from_raw(e.raw_os_error().unwrap_or(0)) }
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OldKernel(release) => {
                write!(f, "Linux {release} is too old: kring needs 6.1 or newer; upgrade the kernel")
            }
            Error::Disabled(2) => f.write_str(
                "io_uring is disabled for everyone: run 'sysctl kernel.io_uring_disabled=0' (or =1 and see io_uring_group)",
            ),
            Error::Disabled(_) => f.write_str(
                "io_uring is disabled for unprivileged processes: run 'sysctl kernel.io_uring_disabled=0', \
                 or add kring's group to kernel.io_uring_group",
            ),
            Error::Refused(errno) => write!(
                f,
                "io_uring is refused ({errno}): allow io_uring_setup, io_uring_enter and io_uring_register in the \
                 container's seccomp profile, or run a kernel with CONFIG_IO_URING"
            ),
            Error::Memory(limit) => write!(
                f,
                "no memory for io_uring (memlock limit {} KB): raise it with 'ulimit -l unlimited' or LimitMEMLOCK=infinity, \
                 or lower ring-entries or shards",
                limit / 1024
            ),
            Error::OpenFiles { needed, hard } => write!(
                f,
                "too few open files: {needed} are needed and the hard limit is {hard}; raise it with \
                 'ulimit -Hn' or LimitNOFILE, or lower maxclients"
            ),
            Error::Call { call, errno } => write!(f, "{call} failed: {errno}"),
        }
    }
}
