//! The commands.

use super::{ALLOCATOR, Figures, doctor};
use crate::base::number::parse_i64;
use crate::cmd::help::help;
use crate::cmd::row::{flag, key};
use crate::cmd::server::text::{Human, Text};
use crate::cmd::{Command, Cx, Done, KeySpec, Order, Outcome, Plan, Report, Sections};
use crate::ds::View;
use crate::resp::{Args, Error, Out};
use crate::store::{Kind, PerKind};

const FIGURES: Plan = Plan::Gather(Sections::STORE | Sections::CLIENT_TOTALS);
const REPORT_TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"];

const BASE: Command = Command { arity: 2, since: "4.0.0", group: "server", ..Command::BASE };

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "memory",
    full_name: "memory",
    arity: -2,
    summary: "Commands about memory.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "doctor",
            full_name: "memory|doctor",
            plan: FIGURES,
            run: doctor,
            summary: "Looks for memory problems.",
            tips: REPORT_TIPS,
            ..BASE
        },
        Command {
            name: "help",
            full_name: "memory|help",
            flags: flag::LOADING | flag::STALE,
            run: |cx, args| {
                help(cx.out, args, HELP);
                Ok(Outcome::Done)
            },
            summary: "Lists the subcommands.",
            ..BASE
        },
        Command {
            name: "malloc-stats",
            full_name: "memory|malloc-stats",
            plan: FIGURES,
            run: malloc_stats,
            summary: "Tells how memory is allocated.",
            complexity: "Depends on how much memory is allocated, could be slow",
            tips: REPORT_TIPS,
            ..BASE
        },
        Command {
            name: "purge",
            full_name: "memory|purge",
            plan: Plan::Home,
            run: purge,
            summary: "Gives free memory back to the kernel.",
            complexity: "Depends on how much memory is allocated, could be slow",
            tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
            ..BASE
        },
        Command {
            name: "stats",
            full_name: "memory|stats",
            plan: FIGURES,
            run: stats,
            summary: "Tells what memory goes into.",
            tips: REPORT_TIPS,
            ..BASE
        },
        Command {
            name: "usage",
            full_name: "memory|usage",
            arity: -3,
            flags: flag::READONLY,
            keys: &[KeySpec::one(2, key::RO)],
            plan: Plan::Owner,
            run: usage,
            summary: "Tells how many bytes a key and its value take.",
            complexity: "O(N) where N is the number of samples.",
            syntax: "key:key [SAMPLES count:integer]",
            ..BASE
        },
    ],
    ..BASE
}];

const HELP: &[(&str, &str)] = &[
    ("DOCTOR", "Look for memory problems."),
    ("MALLOC-STATS", "How memory is allocated."),
    ("PURGE", "Give free memory back to the kernel."),
    ("STATS", "What memory goes into."),
    (
        "USAGE <key> [SAMPLES <count>]",
        "Bytes that a key and its value take. Values are weighed whole: <count> changes nothing.",
    ),
];

/// What a key's place in its table takes, on average, in bytes: a bucket of 128 bytes holds 11.2 to 12.6 keys.
const PLACE_BYTES: usize = 11;

fn usage(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let mut i = 3;
    while i < args.len() {
        if !args.is(i, "samples") || i + 1 == args.len() {
            return Err(Error::Syntax);
        }
        if parse_i64(args.at(i + 1)).ok_or(Error::NotInteger)? < 0 {
            return Err(Error::Syntax);
        }
        i += 2;
    }
    let key = args.at(2);
    // A hash whose fields expire has a second entry.
    let filed = cx.keys.filed_bytes(key).map_or(0, |bytes| bytes + PLACE_BYTES);
    match cx.keys.peek(key) {
        None => cx.out.null(),
        Some(entry) => {
            let value = match entry.view() {
                View::Int(_) | View::Bytes(_) => 0,
                View::Boxed(value) => value.heap_bytes(),
            };
            cx.out.int((entry.heap_bytes() + value + PLACE_BYTES + filed) as i64);
        }
    }
    Ok(Outcome::Done)
}

fn purge(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::Purge))
}

fn doctor(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let mut text = Text::default();
    doctor::diagnose(&mut text, &Figures::of(cx.env, &Report::total(cx.reports)));
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn malloc_stats(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let figures = Figures::of(cx.env, &Report::total(cx.reports));
    let mut text = Text::default();
    text.write(format_args!("allocator {ALLOCATOR}\n"));
    for (name, bytes) in [
        ("resident", figures.rss),
        ("resident at most", cx.env.memory.rss_peak),
        ("in use", figures.used),
        ("in use at most", figures.peak),
        ("client buffers", figures.clients),
        ("log buffers", figures.log_buffer),
        ("snapshot buffers", figures.snapshot_buffer),
    ] {
        text.write(format_args!("{name:<18}{bytes:>16}  {}\n", Human(bytes)));
    }
    text.write(format_args!("\nshard  db            keys     table bytes     value bytes\n"));
    for report in cx.reports {
        for (i, db) in report.dbs.iter().filter(|(_, db)| db.bytes() > 0) {
            text.write(format_args!(
                "{:>5} {i:>3} {:>15} {:>15} {:>15}\n",
                report.shard, db.keys, db.table_bytes, db.value_bytes
            ));
        }
    }
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// A field of MEMORY STATS.
enum Field {
    Int(i64),
    Double(f64),
    /// A database: bytes of its index, and of what it keeps about TTLs.
    Db(i64),
    /// Bytes of values by type.
    Types(PerKind),
}

fn stats(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let total = Report::total(cx.reports);
    let fields = fields(&Figures::of(cx.env, &total), &total);
    cx.out.map(fields.len());
    for (name, field) in fields {
        cx.out.bulk(name.as_bytes());
        match field {
            Field::Int(n) => cx.out.int(n),
            Field::Double(n) => cx.out.double_text(&n.to_string()),
            Field::Db(bytes) => reply_db(cx.out, bytes),
            Field::Types(values) => reply_types(cx.out, values),
        }
    }
    Ok(Outcome::Done)
}

fn reply_db(out: &mut Out, overhead_bytes: i64) {
    out.map(2);
    out.bulk(b"overhead.hashtable.main");
    out.int(overhead_bytes);
    // TTLs lie in the entries.
    out.bulk(b"overhead.hashtable.expires");
    out.int(0);
}

fn reply_types(out: &mut Out, values: PerKind) {
    out.map(Kind::ALL.len());
    for kind in Kind::ALL {
        out.bulk(kind.name().as_bytes());
        out.int(values.of(kind) as i64);
    }
}

fn fields(figures: &Figures, total: &Report) -> Vec<(String, Field)> {
    use Field::{Db, Double, Int, Types};
    let mut values = PerKind::default();
    total.dbs.values().for_each(|db| values.add(&db.values));
    let per_key = figures.used.checked_div(figures.keys).unwrap_or(0);
    let allocator = Figures::between(figures.active, figures.used);
    let resident = Figures::between(figures.resident(), figures.active);
    let process = Figures::between(figures.rss, figures.resident());
    let dbs = total.dbs.iter().filter(|(_, db)| db.keys > 0);
    let head = [
        ("peak.allocated", Int(figures.peak as i64)),
        ("total.allocated", Int(figures.used as i64)),
        // What the process had at its start is not counted as used.
        ("startup.allocated", Int(0)),
        ("replication.backlog", Int(0)),
        ("clients.slaves", Int(0)),
        ("clients.normal", Int(figures.clients as i64)),
        ("cluster.links", Int(0)),
        ("aof.buffer", Int(figures.log_buffer as i64)),
        ("lua.caches", Int(0)),
        ("functions.caches", Int(0)),
    ];
    let tail = [
        ("overhead.db.hashtable.lut", Int(total.dbs.values().map(|db| db.overhead_bytes as i64).sum())),
        ("overhead.db.hashtable.rehashing", Int(0)),
        ("db.dict.rehashing.count", Int(0)),
        ("overhead.total", Int(figures.overhead() as i64)),
        ("keys.count", Int(figures.keys as i64)),
        ("keys.bytes-per-key", Int(per_key as i64)),
        ("dataset.bytes", Int(figures.dataset as i64)),
        // What values take beside their entries; short strings lie in them.
        ("dataset.values", Types(values)),
        ("dataset.percentage", Double(figures.dataset_percent())),
        ("peak.percentage", Double(figures.peak_percent())),
        ("allocator.allocated", Int(figures.used as i64)),
        ("allocator.active", Int(figures.active as i64)),
        ("allocator.resident", Int(figures.resident() as i64)),
        ("allocator.muzzy", Int(0)),
        ("allocator-fragmentation.ratio", Double(allocator.0)),
        ("allocator-fragmentation.bytes", Int(allocator.1)),
        ("allocator-rss.ratio", Double(resident.0)),
        ("allocator-rss.bytes", Int(resident.1)),
        ("rss-overhead.ratio", Double(process.0)),
        ("rss-overhead.bytes", Int(process.1)),
        ("fragmentation", Double(figures.fragmentation())),
        ("fragmentation.bytes", Int(figures.fragmentation_bytes())),
    ];
    let owned = |(name, field): (&str, Field)| (name.to_owned(), field);
    let dbs = dbs.map(|(i, db)| (format!("db.{i}"), Db(db.overhead_bytes as i64)));
    head.into_iter().map(owned).chain(dbs).chain(tail.into_iter().map(owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::report::DbReport;
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn a_key_weighs_its_block_its_value_and_its_place() {
        let mut world = World::new(2);
        world.run("SET k v");
        world.run(&format!("SET big {}", "x".repeat(5_000)));
        let weight = |reply: String| reply.trim().trim_start_matches(':').parse::<usize>().expect("an int");
        let small = weight(world.run("MEMORY USAGE k"));
        assert!((PLACE_BYTES + 2..200).contains(&small), "{small}");
        assert!(weight(world.run("MEMORY USAGE big SAMPLES 0")) >= 5_000);
        for (line, reply) in [
            ("MEMORY USAGE none", "$-1\r\n"),
            ("MEMORY USAGE k SAMPLES x", "-ERR value is not an integer or out of range\r\n"),
            ("MEMORY USAGE k SAMPLES -1", "-ERR syntax error\r\n"),
            ("MEMORY USAGE k SAMPLES", "-ERR syntax error\r\n"),
            ("MEMORY USAGE k foo 1", "-ERR syntax error\r\n"),
            ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command\r\n"),
            ("MEMORY PURGE", "+OK\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
        assert!(matches!(world.outcome, Some(Outcome::Everywhere(Order::Purge))));
    }

    #[test]
    fn a_hash_whose_fields_expire_weighs_what_it_adds() {
        let mut world = World::new(1);
        let bytes = |world: &World| world.hand.peek(0).db(0).bytes();
        let before = bytes(&world);
        for n in 0..2_000 {
            world.run(&format!("HSET hash:{n:05} a 1 b 2"));
            world.run(&format!("HEXPIRE hash:{n:05} 1000 FIELDS 1 a"));
        }
        let real = (bytes(&world) - before) / 2_000;
        let reply = world.run("MEMORY USAGE hash:00007");
        let told: usize = reply.trim().trim_start_matches(':').parse().expect("an int");
        assert!(told.abs_diff(real) * 10 < real, "{told} and {real}");
        world.run("HPERSIST hash:00007 FIELDS 1 a");
        let reply = world.run("MEMORY USAGE hash:00007");
        assert!(
            reply.trim().trim_start_matches(':').parse::<usize>().expect("an int") < told - 20,
            "{reply}"
        );
    }

    /// Whatever happens to values, what is counted for each type is what is there.
    #[test]
    fn bytes_are_counted_by_type() {
        let mut world = World::new(1);
        world.run_args(&[b"SET", b"s", &[b'x'; 20_000]]);
        for n in 0..300 {
            world.run(&format!("RPUSH l {n:060}"));
            world.run(&format!("SADD set {n:060}"));
            world.run(&format!("ZADD z {n} {n:060}"));
            world.run(&format!("HSET h {n:060} {n}"));
            world.run(&format!("XADD x * {n} {n}"));
        }
        let names = ["s", "l", "set", "z", "h", "x"];
        for (kind, name) in Kind::ALL.into_iter().zip(names) {
            let counted = world.hand.peek(0).db(0).values().of(kind);
            assert!(counted == world.weight(name) && counted > 3_000, "{name}: {counted}");
        }
        world.run("RENAME z s");
        world.run("SET l x");
        world.run("DEL h x set");
        let values = world.hand.peek(0).db(0).values();
        assert_eq!((values.sum(), values.of(Kind::Zset)), (world.weight("s"), world.weight("s")));
        world.run("FLUSHALL");
        assert_eq!(world.hand.peek(0).db(0).values(), PerKind::default());
    }

    #[test]
    fn stats_is_a_map_of_redis_names() {
        let mut world = World::new(2);
        for report in &mut world.reports {
            let db = DbReport {
                keys: 5,
                table_bytes: 400,
                value_bytes: 50,
                overhead_bytes: 100,
                ..DbReport::default()
            };
            report.dbs = [(0, db)].into();
            report.client_bytes = 50;
        }
        let reply = world.run("MEMORY STATS");
        for part in [
            "$15\r\ntotal.allocated\r\n:1000\r\n",
            "$4\r\ndb.0\r\n*4\r\n$23\r\noverhead.hashtable.main\r\n:200\r\n$26\r\noverhead.hashtable.expires\r\n:0\r\n",
            "$18\r\nkeys.bytes-per-key\r\n:100\r\n",
            "$13\r\ndataset.bytes\r\n:700\r\n",
            "$18\r\ndataset.percentage\r\n$2\r\n70\r\n",
        ] {
            assert!(reply.contains(part), "{part}: {reply}");
        }
        world.proto(Proto::Resp3);
        assert!(world.run("MEMORY STATS").starts_with("%33\r\n"));
        let doctor = world.run("MEMORY DOCTOR");
        assert!(doctor.starts_with('=') && doctor.contains("\r\ntxt:Only 1000B are in use"), "{doctor}");
        assert!(world.run("MEMORY MALLOC-STATS").contains("\n    0   0               5             400"));
        assert!(world.run("MEMORY HELP").starts_with("*13\r\n"));
    }
}
