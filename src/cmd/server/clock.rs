//! TIME.

use crate::cmd::row::flag;
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::Args;

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "time",
    full_name: "time",
    arity: 1,
    flags: flag::LOADING | flag::STALE | flag::FAST,
    run: time,
    summary: "Tells the server's time: Unix seconds and microseconds.",
    since: "2.6.0",
    group: "server",
    tips: &["nondeterministic_output"],
    ..Command::BASE
}];

fn time(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    let wall_us = cx.keys.now.wall_us;
    cx.out.array(2);
    cx.out.bulk_int(wall_us / 1_000_000);
    cx.out.bulk_int(wall_us % 1_000_000);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;

    #[test]
    fn the_time_is_that_of_the_turn() {
        let mut world = World::new(2);
        world.now.wall_us += 42;
        assert_eq!(world.run("TIME"), "*2\r\n$10\r\n1700000000\r\n$2\r\n42\r\n");
        assert_eq!(world.run("time x"), "-ERR wrong number of arguments for 'time' command\r\n");
    }
}
