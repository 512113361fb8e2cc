//! DEBUG's orders to the shards, and STRINGMATCH-LEN.

use super::rows::permit;
use crate::base::glob;
use crate::base::number::parse_i64;
use crate::cmd::{Cx, Done, Order, Outcome, ReloadMode};
use crate::resp::{Args, Error};

/// The longest text that STRINGMATCH-LEN matches, in bytes.
const MATCH_MAX: i64 = 1 << 20;
/// Hexadecimal digits of a replication id.
const REPL_ID_DIGITS: usize = 40;

/// `DEBUG SLEEP seconds`. What is no number, or below 0, is 0, as in Redis.
pub(super) fn sleep(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let secs = std::str::from_utf8(args.at(2)).ok().and_then(|text| text.trim().parse::<f64>().ok());
    cx.out.ok();
    // The cast ends at 0 and at the largest number.
    Ok(Outcome::Everywhere(Order::Sleep((secs.unwrap_or(0.0) * 1e6) as u64)))
}

/// `DEBUG SET-ACTIVE-EXPIRE 0|1`. What is no number is 0, as in Redis.
pub(super) fn set_active_expire(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::ActiveExpire(parse_i64(args.at(2)).unwrap_or(0) != 0)))
}

/// `DEBUG SET-SKIP-CHECKSUM-VALIDATION 0|1`, at once and for all shards. What is no number is 0, as in Redis.
pub(super) fn skip_checksum(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.env.saves.skip_checksums(parse_i64(args.at(2)).unwrap_or(0) != 0);
    cx.out.ok();
    Ok(Outcome::Done)
}

/// `DEBUG LOG message`: a warning, in Redis's words.
pub(super) fn log(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.out.ok();
    let text = format!("DEBUG LOG: {}", String::from_utf8_lossy(args.at(2)));
    Ok(Outcome::Everywhere(Order::Log(text)))
}

/// `DEBUG LOADAOF`. The reply comes from whoever carries it out.
pub(super) fn loadaof(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    Ok(Outcome::Everywhere(Order::ReloadLog))
}

/// `DEBUG RELOAD [NOSAVE] [NOFLUSH] [MERGE]`. The reply comes from whoever carries it out.
pub(super) fn reload(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let mut mode = ReloadMode::default();
    for i in 2..args.len() {
        let option = match args.at(i).to_ascii_lowercase().as_slice() {
            b"nosave" => &mut mode.nosave,
            b"noflush" => &mut mode.noflush,
            b"merge" => &mut mode.merge,
            _ => {
                return Err(Error::text_of(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        };
        *option = true;
    }
    Ok(Outcome::Everywhere(Order::Reload(mode)))
}

pub(super) fn change_repl_id(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    let mut id: String = (0..3).map(|_| format!("{:016x}", cx.keys.random())).collect();
    id.truncate(REPL_ID_DIGITS);
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::ReplId(id)))
}

/// `DEBUG STRINGMATCH-LEN len pattern`: a matcher that backtracks without a bound would not come back.
pub(super) fn stringmatch_len(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let len =
        parse_i64(args.at(2)).filter(|len| (0..=MATCH_MAX).contains(len)).ok_or(Error::NegativeValue)?;
    cx.out.int(glob::matches(args.at(3), &vec![b'a'; len as usize], false) as i64);
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::World;
    use crate::config::EnableCommand;

    fn world() -> World {
        let mut world = World::new(1);
        world.config.enable_debug_command = EnableCommand::Yes;
        world
    }

    #[test]
    fn orders_go_out() {
        let mut world = world();
        for (secs, us) in [("0.0015", 1_500), ("abc", 0), ("-1", 0), ("2", 2_000_000), ("nan", 0)] {
            assert_eq!(world.run(&format!("DEBUG SLEEP {secs}")), "+OK\r\n");
            let Some(Outcome::Everywhere(Order::Sleep(found))) = world.outcome else { panic!("an order") };
            assert_eq!(found, us, "{secs}");
        }
        for (word, on) in [("0", false), ("5", true), ("x", false)] {
            assert_eq!(world.run(&format!("DEBUG SET-ACTIVE-EXPIRE {word}")), "+OK\r\n");
            let Some(Outcome::Everywhere(Order::ActiveExpire(found))) = world.outcome else {
                panic!("an order")
            };
            assert_eq!(found, on);
        }
        assert_eq!(world.run("DEBUG CHANGE-REPL-ID"), "+OK\r\n");
        let Some(Outcome::Everywhere(Order::ReplId(id))) = &world.outcome else { panic!("an order") };
        assert!(id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    }

    #[test]
    fn patterns_are_matched_with_a_text_of_one_letter() {
        let mut world = world();
        for (line, reply) in [
            ("DEBUG STRINGMATCH-LEN 3 a?a", ":1\r\n"),
            ("DEBUG STRINGMATCH-LEN 100000 a*a*a*a*a*a*a*b", ":0\r\n"),
            ("DEBUG STRINGMATCH-LEN 0 *", ":0\r\n"),
            ("DEBUG STRINGMATCH-LEN x *", "-ERR value is out of range, must be positive\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
    }
}
