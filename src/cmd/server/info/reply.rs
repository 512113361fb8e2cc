//! The command: which sections are asked for, and the reply.

use super::sections::{SECTIONS, View, Within};
use crate::cmd::row::{category, flag};
use crate::cmd::server::text::Text;
use crate::cmd::{Command, Cx, Done, Outcome, Plan, Report, Sections};
use crate::resp::Args;

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "info",
    full_name: "info",
    arity: -1,
    flags: flag::LOADING | flag::STALE,
    categories: category::DANGEROUS,
    plan: Plan::Gather(
        Sections::COUNTERS
            | Sections::COMMANDS
            | Sections::LATENCY
            | Sections::STORE
            | Sections::CLIENT_TOTALS,
    ),
    run: info,
    summary: "Tells how the server is and what it has done, all or some sections of it.",
    group: "server",
    syntax: "[section:string ...]",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
    ..Command::BASE
}];

fn info(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let total = Report::total(cx.reports);
    let view = View { env: cx.env, reports: cx.reports, total: &total };
    let mut text = Text::default();
    for section in SECTIONS {
        let asked = match args.len() {
            1 => section.within == Within::Default,
            _ => args.iter().skip(1).any(|word| section.is_meant(word)),
        };
        if asked {
            text.title(section.title);
            (section.write)(&mut text, &view);
        }
    }
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::report::DbReport;
    use crate::cmd::testing::World;
    use crate::metrics::{Counters, Rates};
    use crate::resp::Proto;

    fn titles(reply: &str) -> Vec<&str> {
        reply.lines().filter_map(|line| line.strip_prefix("# ")).collect()
    }

    fn field<'a>(reply: &'a str, name: &str) -> Option<&'a str> {
        reply.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    #[test]
    fn sections_are_chosen_as_in_redis() {
        let mut world = World::new(2);
        let default = [
            "Server",
            "Clients",
            "Memory",
            "Persistence",
            "Stats",
            "Replication",
            "CPU",
            "Modules",
            "Errorstats",
            "Cluster",
            "Keyspace",
        ];
        let mut all = default.to_vec();
        all.insert(8, "Commandstats");
        all.insert(10, "Latencystats");
        all.push("Shards");
        assert_eq!(titles(&world.run("INFO")), default);
        assert_eq!(titles(&world.run("INFO default")), default);
        assert_eq!(titles(&world.run("INFO all")), all);
        assert_eq!(titles(&world.run("INFO EVERYTHING")), all);
        assert_eq!(titles(&world.run("INFO keyspace server foo SERVER")), ["Server", "Keyspace"]);
        assert_eq!(titles(&world.run("INFO default commandstats")).len(), 12);
        assert_eq!(world.run("INFO nosuch"), "$0\r\n\r\n");
        assert_eq!(world.run("INFO modules"), "$11\r\n# Modules\r\n\r\n");
        world.proto(Proto::Resp3);
        assert_eq!(world.run("INFO nosuch"), "=4\r\ntxt:\r\n");
    }

    #[test]
    fn shards_are_summed() {
        let mut world = World::new(2);
        world.server.cores = vec![Some(3), None];
        for (i, report) in world.reports.iter_mut().enumerate() {
            report.connected = 5 + i;
            report.counters = Counters { commands: 10, hops: 2, ..Counters::default() };
            report.rates = Rates { commands: 21.4, net_input: 1_024.0, ..Rates::default() };
            report.tally.hits = 4;
            report.errors.note(b"WRONGTYPE x");
            let db = DbReport {
                keys: 7,
                expires: 1,
                avg_ttl_ms: 50,
                field_expires: 2,
                table_bytes: 100,
                value_bytes: 900,
                ..DbReport::default()
            };
            report.dbs = [(3, db)].into();
        }
        let reply = world.run("INFO everything");
        for (name, value) in [
            ("redis_version", "7.4.2"),
            ("connected_clients", "11"),
            ("maxclients", "10000"),
            ("used_memory", "2000"),
            ("used_memory_human", "1.95K"),
            ("total_commands_processed", "20"),
            ("instantaneous_ops_per_sec", "43"),
            ("instantaneous_input_kbps", "2.00"),
            ("keyspace_hits", "8"),
            ("errorstat_WRONGTYPE", "count=2"),
            ("db3", "keys=14,expires=2,avg_ttl=50,subexpiry=4"),
            ("kring_hops", "4"),
            ("role", "master"),
            (
                "shard0",
                "core=3,keys=7,clients=5,commands=10,bytes=1000,borrows=0,hops=2,loans=0,cpu_user_us=0,cpu_sys_us=0",
            ),
            (
                "shard1",
                "core=-1,keys=7,clients=6,commands=10,bytes=1000,borrows=0,hops=2,loans=0,cpu_user_us=0,cpu_sys_us=0",
            ),
        ] {
            assert_eq!(field(&reply, name), Some(value), "{name}");
        }
        assert_eq!(field(&reply, "db0"), None);
    }

    /// What no eviction makes smaller is used memory too, and shown apart.
    #[test]
    fn what_a_snapshot_keeps_is_used_but_not_counted_for_eviction() {
        let mut world = World::new(2);
        for report in &mut world.reports {
            report.kept_bytes = 300;
            report.aside_bytes = 20;
            report.client_bytes = 5;
        }
        let reply = world.run("INFO memory");
        for (name, value) in [
            ("used_memory", "650"),
            ("mem_not_counted_for_evict", "600"),
            ("mem_snapshot_buffer", "600"),
            ("mem_aof_buffer", "0"),
        ] {
            assert_eq!(field(&reply, name), Some(value), "{name}");
        }
    }

    /// Field names in Redis 7.0's order, as the real server gives them; 7.4 adds some in between.
    #[test]
    fn no_field_of_redis_is_missing() {
        let mut world = World::new(1);
        let reply = world.run("INFO");
        let names: Vec<&str> = reply.lines().filter_map(|l| Some(l.split_once(':')?.0)).collect();
        let mut at = 0;
        for name in include_str!("redis70_fields.txt").lines() {
            let found = names[at..].iter().position(|n| *n == name);
            at += found.unwrap_or_else(|| panic!("{name} is missing, or out of order")) + 1;
        }
    }

    #[test]
    fn commands_show_calls_and_percentiles() {
        let mut world = World::new(2);
        for report in &mut world.reports {
            report.commands.resize_with(world.registry.len(), Default::default);
            report.commands[0].record(3_000, 1, true);
            report.commands[0].rejected = 1;
        }
        let name = world.registry.row(0).full_name;
        let reply = world.run("INFO commandstats latencystats");
        let stat = "calls=2,usec=6,usec_per_call=3.00,rejected_calls=2,failed_calls=0";
        assert_eq!(field(&reply, &format!("cmdstat_{name}")), Some(stat));
        let percentiles = "p50=3.007,p99=3.007,p99.9=3.007";
        assert_eq!(field(&reply, &format!("latency_percentiles_usec_{name}")), Some(percentiles));
        world.config.latency_tracking = false;
        assert_eq!(world.run("INFO latencystats"), "$16\r\n# Latencystats\r\n\r\n");
    }
}
