//! WAIT and WAITAOF: how many replicas, and disks, have what this client wrote. There are no replicas yet, so only the time ends a
//! wait for them.

use crate::base::number::parse_i64;
use crate::cmd::block::{Block, OnDisk, timeout_ms};
use crate::cmd::row::{category, flag};
use crate::cmd::save::LogState;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error, Out};

const BASE: Command = Command {
    flags: flag::BLOCKING,
    categories: category::CONNECTION,
    group: "generic",
    tips: &["request_policy:all_shards", "response_policy:agg_min"],
    ..Command::BASE
};

/// This file's rows.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "wait",
        full_name: "wait",
        arity: 3,
        run: wait,
        summary: "Waits until so many replicas have all that this connection has written.",
        since: "3.0.0",
        syntax: "numreplicas:integer timeout:integer",
        ..BASE
    },
    Command {
        name: "waitaof",
        full_name: "waitaof",
        arity: 4,
        run: waitaof,
        summary: "Waits until all that this connection has written is in append-only files, here and at replicas.",
        since: "7.2.0",
        syntax: "numlocal:integer numreplicas:integer timeout:integer",
        ..BASE
    },
];

fn wait(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let replicas = parse_i64(args.at(1)).ok_or(Error::NotInteger)?;
    let timeout = timeout_ms(args.at(2), cx.env.now)?;
    let reply = |out: &mut Out| out.int(0);
    if replicas > 0 {
        return Ok(Outcome::Block(Box::new(Block::for_time(timeout, reply))));
    }
    reply(cx.out);
    Ok(Outcome::Done)
}

fn waitaof(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let local = parse_i64(args.at(1)).ok_or(Error::NotInteger)?;
    if !(0..=1).contains(&local) {
        return Err(Error::text_of("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    if replicas < 0 {
        return Err(Error::NegativeValue);
    }
    let timeout = timeout_ms(args.at(3), cx.env.now)?;
    if local > 0 && cx.env.saves.log.state() == LogState::Off {
        return Err(Error::text_of(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let none = |out: &mut Out| acknowledged(out, 0);
    let on_disk = (local > 0).then_some(OnDisk { reply: |out| acknowledged(out, 1), ends: replicas == 0 });
    if replicas > 0 || on_disk.is_some() {
        return Ok(Outcome::Block(Box::new(Block { on_disk, ..Block::for_time(timeout, none) })));
    }
    none(cx.out);
    Ok(Outcome::Done)
}

/// How many disks have it, this machine's and replicas'.
fn acknowledged(out: &mut Out, local: i64) {
    out.array(2);
    out.int(local);
    out.int(0);
}

#[cfg(test)]
mod tests {
    use crate::cmd::Outcome;
    use crate::cmd::testing::World;

    #[test]
    fn without_replicas_only_time_helps() {
        let mut world = World::new(1);
        world.expect(&[
            ("WAIT 0 0", ":0\r\n"),
            ("WAIT -1 5", ":0\r\n"),
            ("WAIT x 0", "-ERR value is not an integer or out of range\r\n"),
            ("WAIT 1 -1", "-ERR timeout is negative\r\n"),
            ("WAIT 1 x", "-ERR timeout is not an integer or out of range\r\n"),
            ("WAITAOF 0 0 0", "*2\r\n:0\r\n:0\r\n"),
            ("WAITAOF 2 0 0", "-ERR value is out of range, value must between 0 and 1\r\n"),
            ("WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n"),
            (
                "WAITAOF 1 0 0",
                "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n",
            ),
        ]);
        for (line, expected) in [("WAIT 1 20", Some(20)), ("WAIT 3 0", None), ("WAITAOF 0 1 7", Some(7))] {
            assert_eq!(world.run(line), "", "{line}");
            match &world.outcome {
                Some(Outcome::Block(block)) => assert_eq!(block.timeout_ms, expected, "{line}"),
                _ => panic!("{line} does not wait"),
            }
        }
    }
}
