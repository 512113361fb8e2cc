//! Which Redis a client may take this server for.

/// The release of Redis whose behaviour this server keeps: HELLO's `version`, INFO's `redis_version`.
pub const REDIS_VERSION: &str = "7.4.2";
