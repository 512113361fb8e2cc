//! The counters: a row each.

use std::fmt::Write;

/// A counter's row.
pub struct Metric {
    /// The name in INFO, which is Redis's where Redis has it.
    pub name: &'static str,
    pub doc: &'static str,
    pub get: fn(&Counters) -> u64,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $field:ident => $name:literal;)+) => {
        /// The counters of a shard.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters { $($(#[doc = $doc])+ pub $field: u64,)+ }

        /// A row a counter.
        pub const METRICS: &[Metric] = &[
            $(Metric { name: $name, doc: concat!($($doc),+), get: |c| c.$field },)+
        ];

        impl Counters {
            /// Adds another shard's counters.
            pub fn add(&mut self, other: &Counters) { $(self.$field += other.$field;)+ }
        }
    };
}

counters! {
    /// Connections accepted.
    connections => "total_connections_received";
    /// Connections refused because of `maxclients`.
    rejected_connections => "rejected_connections";
    /// Commands run.
    commands => "total_commands_processed";
    /// Bytes read from clients.
    net_input => "total_net_input_bytes";
    /// Bytes written to clients.
    net_output => "total_net_output_bytes";
    /// Error replies.
    error_replies => "total_error_replies";
    /// Chunks of requests read.
    reads => "total_reads_processed";
    /// Chunks of replies written.
    writes => "total_writes_processed";
    /// Clients closed because of `client-query-buffer-limit`.
    query_buffer_closed => "client_query_buffer_limit_disconnections";
    /// Clients closed because of `maxmemory-clients`.
    evicted_clients => "evicted_clients";
    /// Clients closed because of `client-output-buffer-limit`.
    output_buffer_closed => "client_output_buffer_limit_disconnections";
    /// Passwords that were wrong, said to AUTH or HELLO.
    auth_failures => "acl_access_denied_auth";
    /// Stores borrowed for commands, own store included.
    borrows => "kring_borrows";
    /// Takes that found the store away and, after the spin, gave up.
    borrow_misses => "kring_borrow_misses";
    /// Jobs mailed to other shards, each hop counted.
    hops => "kring_hops";
    /// Stores that owners lent to jobs.
    loans => "kring_loans";
    /// Turns of the loop.
    turns => "kring_turns";
    /// Nanoseconds that turns took, without the waits between them.
    turn_ns => "kring_turn_ns";
    /// Turns that slept in the ring.
    sleeps => "kring_sleeps";
    /// Wake-ups sent to sleeping shards.
    wakes => "kring_wakes";
    /// Large values, and keys of whole databases, freed off the hot path.
    lazy_freed => "lazyfreed_objects";
    /// Entries moved together so that memory could be given back.
    compacted => "active_defrag_hits";
    /// Slices of active expiry.
    expire_slices => "kring_expire_slices";
    /// Slices of active expiry that ended before all that was due was gone.
    expire_capped => "expired_time_cap_reached_count";
    /// Nanoseconds that active expiry took.
    expire_ns => "kring_expire_ns";
}

/// The counters as a table in Markdown, for tuning.md.
pub fn markdown_table() -> String {
    let mut text = String::from("| metric | meaning |\n|---|---|\n");
    for metric in METRICS {
        // A write into a String cannot fail.
        let _ = writeln!(text, "| `{}` | {} |", metric.name, metric.doc.trim());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_read_their_fields() {
        let mut a = Counters { commands: 3, ..Counters::default() };
        a.add(&Counters { commands: 4, hops: 1, ..Counters::default() });
        let of = |name: &str| METRICS.iter().find(|m| m.name == name).map(|m| (m.get)(&a));
        assert_eq!(of("total_commands_processed"), Some(7));
        assert_eq!(of("kring_hops"), Some(1));
        assert!(METRICS.iter().all(|m| !m.doc.is_empty()));
    }
}
