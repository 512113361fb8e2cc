//! What is said of a command that does not exist, as Redis says it: names and arguments as C would print them, cut off
//! at 128 bytes in all.

use crate::resp::Args;

/// How many bytes of a client's words an error quotes.
const QUOTED_MAX: usize = 128;

/// What C's `%.*s` prints of these bytes: up to the first NUL, at most `max`.
pub(crate) fn c_text(bytes: &[u8], max: usize) -> &[u8] {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    &bytes[..end.min(max)]
}

/// Whether a command's name is a line of an HTTP request: a web page made somebody's browser send it, across protocols.
pub fn is_http(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:")
}

/// The error for a name that no command has. It may hold line breaks, which a reply must not.
pub fn unknown_command(args: Args<'_>) -> Vec<u8> {
    let mut quoted = Vec::new();
    for arg in args.iter().skip(1) {
        // Redis counts the quotes and the space of earlier arguments, not those of this one.
        if quoted.len() >= QUOTED_MAX {
            break;
        }
        let room = QUOTED_MAX - quoted.len();
        quoted.push(b'\'');
        quoted.extend_from_slice(c_text(arg, room));
        quoted.extend_from_slice(b"' ");
    }
    let name = c_text(args.at(0), QUOTED_MAX);
    [b"ERR unknown command '", name, b"', with args beginning with: ", &quoted].concat()
}

/// The error for a word that is no subcommand of the command before it.
pub fn unknown_subcommand(args: Args<'_>) -> Vec<u8> {
    let word = c_text(args.at(1), QUOTED_MAX);
    let parent = args.at(0).to_ascii_uppercase();
    [b"ERR unknown subcommand '", word, b"'. Try ", &parent, b" HELP."].concat()
}

/// The error of the few subcommands that count their arguments themselves.
pub(crate) fn unknown_or_arity(args: Args<'_>) -> Vec<u8> {
    let word = c_text(args.at(1), QUOTED_MAX);
    let parent = args.at(0).to_ascii_uppercase();
    [b"ERR unknown subcommand or wrong number of arguments for '", word, b"'. Try ", &parent, b" HELP."]
        .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::testing::with_args;

    fn text(words: &[&[u8]], f: fn(Args<'_>) -> Vec<u8>) -> String {
        String::from_utf8(with_args(words, f)).unwrap()
    }

    /// The expected texts are those of redis-server 7.0.15.
    #[test]
    fn arguments_are_quoted_up_to_128_bytes() {
        let begin = "ERR unknown command 'NoPe', with args beginning with: ";
        let (a60, b60, a125) = ("a".repeat(60), "b".repeat(60), "a".repeat(125));
        for (args, expected) in [
            (vec!["NoPe"], String::new()),
            (vec!["NoPe", "a", "", "q'q"], "'a' '' 'q'q' ".into()),
            (vec!["NoPe", &"a".repeat(200), "b"], format!("'{}' ", "a".repeat(128))),
            (vec!["NoPe", &a60, &b60, &"c".repeat(20), "d"], format!("'{a60}' '{b60}' 'cc' ")),
            (vec!["NoPe", &a125, "b"], format!("'{a125}' ")),
            (vec!["NoPe", &a125[1..], "b", "c"], format!("'{}' 'b' ", &a125[1..])),
            (vec!["NoPe", "a\0b", "c"], "'a' 'c' ".into()),
            ([&["NoPe"][..], &["1"; 100]].concat(), "'1' ".repeat(32)),
        ] {
            let words: Vec<&[u8]> = args.iter().map(|a| a.as_bytes()).collect();
            assert_eq!(text(&words, unknown_command), format!("{begin}{expected}"));
        }
        let long = text(&[&[b'n'; 200], b"x"], unknown_command);
        assert_eq!(
            long,
            format!("ERR unknown command '{}', with args beginning with: 'x' ", "n".repeat(128))
        );
    }

    #[test]
    fn a_subcommand_is_quoted_with_its_parent() {
        let of_client = unknown_subcommand;
        assert_eq!(
            text(&[b"cLiEnt", b"Nope", b"x"], of_client),
            "ERR unknown subcommand 'Nope'. Try CLIENT HELP."
        );
        assert_eq!(text(&[b"client", b"a\0b"], of_client), "ERR unknown subcommand 'a'. Try CLIENT HELP.");
    }
}
