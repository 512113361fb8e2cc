//! Keyspace and Shards.

use super::sections::View;
use crate::cmd::server::text::Text;

/// One line per database that has keys.
pub fn keyspace(text: &mut Text, view: &View<'_>) {
    for (i, db) in view.total.dbs.iter().filter(|(_, db)| db.keys > 0) {
        let (keys, expires, ttl, fields) = (db.keys, db.expires, db.avg_ttl_ms, db.field_expires);
        text.field(
            format_args!("db{i}"),
            format_args!("keys={keys},expires={expires},avg_ttl={ttl},subexpiry={fields}"),
        );
    }
}

/// kring's own: one line per shard. A shard that is not pinned has core -1.
pub fn shards(text: &mut Text, view: &View<'_>) {
    for report in view.reports {
        let core = view.env.server.cores.get(report.shard).copied().flatten();
        let core = core.map_or(-1, |core| core as i64);
        let keys: usize = report.dbs.values().map(|db| db.keys).sum();
        let (clients, bytes, counters) = (report.connected, report.data_bytes(), &report.counters);
        text.field(
            format_args!("shard{}", report.shard),
            format_args!(
                "core={core},keys={keys},clients={clients},commands={},bytes={bytes},borrows={},hops={},loans={},\
                 cpu_user_us={},cpu_sys_us={}",
                counters.commands,
                counters.borrows,
                counters.hops,
                counters.loans,
                report.cpu_user_us,
                report.cpu_sys_us
            ),
        );
    }
}
