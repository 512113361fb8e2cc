//! Keys of any type: commands that do not care what a key holds.
//!
//! | file | commands |
//! |---|---|
//! | `existence` | DEL UNLINK EXISTS TOUCH TYPE |
//! | `iteration` | KEYS SCAN RANDOMKEY DBSIZE |
//! | `transfer` | RENAME RENAMENX COPY MOVE |
//! | `databases` | SWAPDB FLUSHDB FLUSHALL |
//! | `object` | OBJECT |
//! | `serialization` | DUMP RESTORE |
//! | `migrate` | MIGRATE |
//! | `sort` | SORT SORT_RO |
//! | `expiry` | EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST |

pub mod databases;
pub mod existence;
pub mod expiry;
pub mod iteration;
pub mod migrate;
pub mod object;
pub mod serialization;
pub mod sort;
pub mod transfer;
pub mod wait;
