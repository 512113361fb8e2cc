//! LOLWUT: a picture that no other call gives again, and the version.

use super::text::Text;
use crate::base::number::parse_i64;
use crate::cmd::row::flag;
use crate::cmd::version::{KRING_VERSION, REDIS_VERSION};
use crate::cmd::{Command, Cx, Done, Outcome};
use crate::resp::{Args, Error};

/// This family's rows.
pub const COMMANDS: &[Command] = &[Command {
    name: "lolwut",
    full_name: "lolwut",
    arity: -1,
    flags: flag::READONLY | flag::FAST,
    run: lolwut,
    summary: "Paints something and tells the version.",
    since: "5.0.0",
    group: "server",
    syntax: "[VERSION version:integer]",
    ..Command::BASE
}];

/// From a trough of the water to a crest.
const SHADES: &[u8] = b" .:-=+*#%@";
const DEFAULT_SIZE: (i64, i64) = (64, 16);
const MAX_SIZE: (i64, i64) = (160, 60);
/// Where stones fall, at most.
const STONES: usize = 3;

/// `LOLWUT [VERSION n [columns [rows]]]`. There is one painter only, whatever the version; as in Redis, words that
/// are not the option do no harm.
fn lolwut(cx: &mut Cx<'_>, args: Args<'_>) -> Done {
    let (columns, rows) = size(args)?;
    let mut text = Text::default();
    paint(&mut text, columns, rows, &mut || cx.keys.random());
    text.write(format_args!("\nRings on water, never twice the same. "));
    text.write(format_args!("kring ver. {KRING_VERSION}\nRedis ver. {REDIS_VERSION}\n"));
    cx.out.verbatim("txt", text.as_bytes());
    Ok(Outcome::Done)
}

fn size(args: Args<'_>) -> Result<(i64, i64), Error> {
    if args.len() < 3 || !args.is(1, "version") {
        return Ok(DEFAULT_SIZE);
    }
    let mut numbers = [None; 2];
    parse_i64(args.at(2)).ok_or(Error::NotInteger)?;
    for (number, text) in numbers.iter_mut().zip(args.from(3).iter()) {
        *number = Some(parse_i64(text).ok_or(Error::NotInteger)?);
    }
    let side = |given: Option<i64>, default, max| given.unwrap_or(default).clamp(1, max);
    Ok((side(numbers[0], DEFAULT_SIZE.0, MAX_SIZE.0), side(numbers[1], DEFAULT_SIZE.1, MAX_SIZE.1)))
}

/// Waves run out from each stone and add up.
fn paint(text: &mut Text, columns: i64, rows: i64, random: &mut dyn FnMut() -> u64) {
    let mut unit = || (random() >> 11) as f64 / (1u64 << 53) as f64;
    let stones: [(f64, f64, f64); STONES] =
        std::array::from_fn(|_| (unit() * columns as f64, unit() * rows as f64, 0.5 + unit() * 0.8));
    for y in 0..rows {
        for x in 0..columns {
            let height: f64 = stones
                .iter()
                .map(|&(sx, sy, pitch)| {
                    // A character is twice as high as wide.
                    let distance = (x as f64 - sx).hypot((y as f64 - sy) * 2.0);
                    (distance * pitch).cos() / (1.0 + distance * 0.12)
                })
                .sum();
            let shade = ((height + 0.6) / 1.6 * SHADES.len() as f64) as usize;
            text.write(format_args!("{}", SHADES[shade.min(SHADES.len() - 1)] as char));
        }
        text.write(format_args!("\n"));
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::World;
    use crate::resp::Proto;

    #[test]
    fn it_paints_and_tells_the_version() {
        let mut world = World::new(1);
        let picture = world.run("LOLWUT");
        assert!(picture.ends_with("\nRedis ver. 7.4.2\n\r\n"), "{picture}");
        assert_ne!(picture, world.run("LOLWUT"));
        let small = world.run("LOLWUT VERSION 5 10 3");
        assert_eq!(small.lines().nth(3).map(str::len), Some(10), "{small}");
        for line in ["LOLWUT VERSION x", "LOLWUT VERSION 5 x", "LOLWUT VERSION 5 1 x"] {
            assert_eq!(world.run(line), "-ERR value is not an integer or out of range\r\n");
        }
        world.proto(Proto::Resp3);
        assert!(world.run("LOLWUT VERSION").starts_with('='));
        assert!(world.run("LOLWUT VERSION 6 -5 99999999").len() < 400);
    }
}
