//! DEBUG POPULATE: many keys at once.

use super::rows::{permit, unknown};
use crate::base::number::parse_i64;
use crate::cmd::{Cx, Done, Outcome};
use crate::resp::{Args, Error};
use crate::store::string_of;

/// `DEBUG POPULATE count [prefix] [size]`. Keys that are there stay as they are.
pub(super) fn populate(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    permit(cx)?;
    if args.len() > 5 {
        return Err(unknown(args));
    }
    let positive = |text| parse_i64(text).and_then(|n| usize::try_from(n).ok()).ok_or(Error::NegativeValue);
    let count = positive(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map(positive).transpose()?;
    if size.is_some_and(|size| size as u64 > cx.env.config.proto_max_bulk_len) {
        return Err(Error::StringTooLong);
    }
    for i in 0..count {
        let key = [prefix, b":", itoa::Buffer::new().format(i).as_bytes()].concat();
        if cx.keys.peek(&key).is_some() {
            continue;
        }
        let mut value = format!("value:{i}").into_bytes();
        // As in Redis: a size cuts the value off, or fills it up with zeros; 0 is none.
        if let Some(size) = size.filter(|size| *size > 0) {
            value.resize(size, 0);
        }
        // Logged, though Redis does not: what it said OK to is there when it comes back.
        cx.keys.effect_alone(&key, &[b"SET", &key, &value]);
        cx.keys.put(&key, string_of(value), None, 0);
        cx.keys.changed(&key);
    }
    cx.out.ok();
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::config::EnableCommand;

    #[test]
    fn keys_are_made_as_in_redis() {
        let mut world = World::new(3);
        world.config.enable_debug_command = EnableCommand::Yes;
        world.run("SET key:1 mine");
        for (line, reply) in [
            ("DEBUG POPULATE 3", "+OK\r\n"),
            ("GET key:0", "$7\r\nvalue:0\r\n"),
            ("GET key:1", "$4\r\nmine\r\n"),
            ("GET key:2", "$7\r\nvalue:2\r\n"),
            ("DEBUG POPULATE 2 p 4", "+OK\r\n"),
            ("GET p:1", "$4\r\nvalu\r\n"),
            ("DEBUG POPULATE 12 q 12", "+OK\r\n"),
            ("GET q:9", "$12\r\nvalue:9\0\0\0\0\0\r\n"),
            ("GET q:10", "$12\r\nvalue:10\0\0\0\0\r\n"),
            ("DEBUG POPULATE 1 z 0", "+OK\r\n"),
            ("GET z:0", "$7\r\nvalue:0\r\n"),
            ("DEBUG POPULATE 0", "+OK\r\n"),
            ("DEBUG POPULATE -2", "-ERR value is out of range, must be positive\r\n"),
            ("DEBUG POPULATE x", "-ERR value is out of range, must be positive\r\n"),
            ("DEBUG POPULATE 1 r -5", "-ERR value is out of range, must be positive\r\n"),
        ] {
            assert_eq!(world.run(line), reply, "{line}");
        }
    }
}
