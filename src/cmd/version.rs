//! Whose protocol and commands these are, and which kring this is.

/// The Redis release that clients meet.
pub const REDIS_VERSION: &str = "7.4.2";
/// kring's own release.
pub const KRING_VERSION: &str = env!("CARGO_PKG_VERSION");
