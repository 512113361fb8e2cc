//! DEBUG's orders to the shards, and STRINGMATCH-LEN.

use super::rows::permit;
use crate::base::glob;
use crate::base::number::parse_i64;
use crate::cmd::{Cx, Done, Order, Outcome, ReloadMode};
use crate::config::parse_memory;
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

/// The least length beyond what QUICKLIST-PACKED-THRESHOLD takes, as in Redis.
const PACKED_END: u64 = (1 << 32) - (1 << 20);

/// `DEBUG QUICKLIST-PACKED-THRESHOLD size`: texts of lists of this length or more get nodes of their own, those that come from now
/// on; 0: those that are longer than a node may be, which is what the start sets.
pub(super) fn packed_threshold(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    let size = std::str::from_utf8(args.at(2)).ok().and_then(parse_memory).filter(|size| *size <= PACKED_END);
    let size =
        size.ok_or(Error::text_of("ERR argument must be a memory value bigger than 1 and smaller than 4gb"))?;
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::PackedFrom(size as u32)))
}

/// `DEBUG PAUSE-CRON 0|1`. What is no number is 0, as in Redis.
pub(super) fn pause_cron(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    cx.out.ok();
    Ok(Outcome::Everywhere(Order::PauseCron(parse_i64(args.at(2)).unwrap_or(0) != 0)))
}

/// `DEBUG CONFIG-REWRITE-FORCE-ALL`. The reply comes when the file is written.
pub(super) fn rewrite_whole_config(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    if cx.env.server.config_file.is_empty() {
        return Err(Error::text_of(
            "ERR CONFIG-REWRITE-FORCE-ALL failed: The server is running without a config file",
        ));
    }
    Ok(Outcome::Everywhere(Order::WriteWholeConfig))
}

/// `DEBUG ASSERT`: the process ends as it does when an invariant is found broken.
pub(super) fn assert_false(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    assert_eq!(1, 2, "DEBUG ASSERT was called");
    Ok(Outcome::Done)
}

/// `DEBUG PANIC`: the process ends as it does on a bug.
pub(super) fn panic(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    panic!("DEBUG PANIC was called");
}

/// `DEBUG OOM`: asks for more memory than there can be.
pub(super) fn oom(cx: &mut Cx<'_>, _args: Args<'_>) -> Done {
    permit(cx)?;
    let all = Vec::<u8>::with_capacity(isize::MAX as usize);
    Err(Error::text_of(format!("ERR {} bytes could be had", all.capacity())))
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
        for (word, wanted) in [("100b", 100), ("1kb", 1_024), ("0", 0), ("4293918720", 4_293_918_720)] {
            assert_eq!(world.run(&format!("DEBUG QUICKLIST-PACKED-THRESHOLD {word}")), "+OK\r\n");
            let Some(Outcome::Everywhere(Order::PackedFrom(found))) = world.outcome else {
                panic!("an order")
            };
            assert_eq!(found, wanted);
        }
        for word in ["x", "-1", "4gb", "4293918721"] {
            assert_eq!(
                world.run(&format!("DEBUG QUICKLIST-PACKED-THRESHOLD {word}")),
                "-ERR argument must be a memory value bigger than 1 and smaller than 4gb\r\n"
            );
        }
        for (word, on) in [("0", false), ("1", true), ("x", false)] {
            assert_eq!(world.run(&format!("DEBUG PAUSE-CRON {word}")), "+OK\r\n");
            let Some(Outcome::Everywhere(Order::PauseCron(found))) = world.outcome else {
                panic!("an order")
            };
            assert_eq!(found, on);
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
