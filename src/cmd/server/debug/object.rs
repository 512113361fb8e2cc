//! DEBUG OBJECT and HTSTATS: how values and tables are kept.

use super::rows::{permit, unknown};
use crate::base::number::parse_i64;
use crate::cmd::keyspace::object::references;
use crate::cmd::server::text::{Text, ratio};
use crate::cmd::{Cx, Done, Outcome};
use crate::ds::View;
use crate::ds::table::Stats;
use crate::persist::dump::dump;
use crate::resp::{Args, Error};
use crate::store::lru;
use crate::store::{Value, encoding};

/// What a DUMP payload has around its value: the type before, version and checksum after.
const DUMP_FRAME: usize = 11;

/// `DEBUG OBJECT key`. The address is the entry's.
pub(super) fn object(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let (now, compress) = (cx.keys.policy.now, cx.env.config.rdbcompression);
    let entry = cx.keys.peek(args.at(2)).ok_or(Error::NoSuchKey)?;
    let idle_secs = lru::idle_secs(entry.access(), now);
    let line = format!(
        "Value at:{:p} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}",
        entry.key().as_ptr(),
        references(&entry),
        encoding(&entry),
        dump(entry.view(), compress).len() - DUMP_FRAME,
        lru::wall_clock(now, idle_secs),
        idle_secs
    );
    cx.out.simple(&line);
    Ok(Outcome::Done)
}

/// `DEBUG HTSTATS db [full]`: a table per shard. TTLs lie in the entries, so the second part counts, and no more.
pub(super) fn htstats(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let full = args.len() == 4 && args.is(3, "full");
    if args.len() > 4 || (args.len() == 4 && !full) {
        return Err(unknown(args));
    }
    let db = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    let db = usize::try_from(db).ok().filter(|db| *db < cx.env.config.databases as usize);
    let db = db.ok_or_else(|| Error::text_of("ERR Out of range database"))?;
    let mut text = Text::default();
    text.write(format_args!("[Dictionary HT]\n"));
    for store in cx.keys.hand.iter() {
        let table = store.db(db).table();
        if title(&mut text, store.shard(), table.len()) {
            describe(&mut text, &table.stats(), table.bytes(), full);
        }
    }
    text.write(format_args!("[Expires HT]\n"));
    for store in cx.keys.hand.iter() {
        let expires = store.db(db).expires();
        if title(&mut text, store.shard(), expires) {
            text.write(format_args!(" number of elements: {expires}\n"));
        }
    }
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// `DEBUG HTSTATS-KEY key [full]`: the table that a large set, hash or sorted set is.
pub(super) fn htstats_key(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let full = args.len() == 4 && args.is(3, "full");
    if args.len() > 4 || (args.len() == 4 && !full) {
        return Err(unknown(args));
    }
    let entry = cx.keys.peek(args.at(2)).ok_or(Error::NoSuchKey)?;
    let found = match entry.view() {
        View::Boxed(Value::Set(set)) => set.stats(),
        View::Boxed(Value::Hash(hash)) => hash.stats(),
        View::Boxed(Value::Zset(zset)) => zset.stats(),
        _ => None,
    };
    let (stats, bytes) = found.ok_or_else(|| {
        Error::text_of("ERR The value stored at the specified key is not represented using an hash table")
    })?;
    let mut text = Text::default();
    text.write(format_args!("Hash table 0 stats (main hash table):\n"));
    describe(&mut text, &stats, bytes, full);
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// Whether there is something to describe.
fn title(text: &mut Text, shard: usize, elements: usize) -> bool {
    text.write(format_args!("Hash table {shard} stats (shard {shard}):\n"));
    if elements == 0 {
        text.write(format_args!("No stats available for empty dictionaries\n"));
    }
    elements > 0
}

fn describe(text: &mut Text, stats: &Stats, bytes: usize, full: bool) {
    for (name, value) in [
        ("table size", stats.capacity),
        ("number of elements", stats.entries),
        ("segments", stats.segments),
        ("directory size", stats.directory),
        ("bytes", bytes),
    ] {
        text.write(format_args!(" {name}: {value}\n"));
    }
    if !full {
        return;
    }
    text.write(format_args!(" Distance from the home bucket:\n"));
    for (distance, count) in stats.distances.iter().enumerate().filter(|(_, count)| **count > 0) {
        let percent = ratio(*count as u64, stats.entries as u64) * 100.0;
        text.write(format_args!("   {distance}: {count} ({percent:.2}%)\n"));
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::config::EnableCommand;

    fn world() -> World {
        let mut world = World::new(2);
        world.config.enable_debug_command = EnableCommand::Yes;
        world
    }

    #[test]
    fn an_object_reads_as_in_redis() {
        let mut world = world();
        for (value, references, encoding, length) in [
            ("v", 1, "embstr", 2),
            ("123", i32::MAX, "int", 2),
            ("-300", 1, "int", 3),
            ("3000000000", 1, "int", 11),
            ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 1, "raw", 63),
        ] {
            world.run(&format!("SET k {value}"));
            world.advance_ms(5_000);
            let line = world.run("DEBUG OBJECT k");
            assert!(line.starts_with("+Value at:0x"), "{line}");
            let rest = format!(" refcount:{references} encoding:{encoding} serializedlength:{length} lru:");
            assert!(line.contains(&rest) && line.ends_with(" lru_seconds_idle:5\r\n"), "{line}");
        }
        assert_eq!(world.run("DEBUG OBJECT none"), "-ERR no such key\r\n");
    }

    #[test]
    fn tables_have_stats() {
        let mut world = world();
        world.run("SET k v");
        let stats = world.run("DEBUG HTSTATS 0 full");
        assert!(stats.contains("[Dictionary HT]\nHash table 0 stats (shard 0):\n"), "{stats}");
        assert!(stats.contains(" number of elements: 1\n segments: 1\n"), "{stats}");
        assert!(stats.contains("   0: 1 (100.00%)\n"), "{stats}");
        assert!(!world.run("DEBUG HTSTATS 0").contains("100.00"));
        world.run("SADD small 1");
        world.run("HSET h a 1");
        world.config.hash_max_listpack_entries = 0;
        world.run("HSET large a 1 b 2");
        let stats = world.run("DEBUG HTSTATS-KEY large full");
        assert!(stats.contains("Hash table 0 stats (main hash table):\n table size: "), "{stats}");
        assert!(stats.contains(" number of elements: 2\n segments: 1\n"), "{stats}");
        let none = "-ERR The value stored at the specified key is not represented using an hash table\r\n";
        for (line, reply) in [
            ("DEBUG HTSTATS-KEY small", none),
            ("DEBUG HTSTATS-KEY h", none),
            ("DEBUG HTSTATS-KEY k", none),
            ("DEBUG HTSTATS-KEY nosuch", "-ERR no such key\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
        let sub = "-ERR unknown subcommand or wrong number of arguments for 'htstats'. Try DEBUG HELP.\r\n";
        for (line, reply) in [
            ("DEBUG HTSTATS 99", "-ERR Out of range database\r\n"),
            ("DEBUG HTSTATS -1", "-ERR Out of range database\r\n"),
            ("DEBUG HTSTATS x", "-ERR value is not an integer or out of range\r\n"),
            ("DEBUG htstats 0 foo", sub),
            ("DEBUG htstats", sub),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
    }
}
