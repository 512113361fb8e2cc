//! What cores leave in the logs: the bytes of requests, transactions as units, and what those get who wait as units of their own.

use super::*;
use crate::store::log::{Break, Taken};

impl Stage {
    fn logging(shards: usize) -> Stage {
        let stage = Stage::new(shards);
        stage.each_store(|store| store.log.switch(true));
        stage
    }

    fn each_store(&self, mut f: impl FnMut(&mut crate::store::Store)) {
        for cell in &self.cores[0].0.shared.cells {
            let mut store = cell.take().expect("nothing is under way");
            f(&mut store);
            let _ = cell.put(store);
        }
    }

    fn take_logs(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        self.each_store(|store| all.push(store.log.take(Vec::new())));
        all
    }

    /// The logs since the last look, the words of commands apart by blanks.
    fn logged(&self) -> Vec<String> {
        let text = |taken: Taken| {
            let lines = String::from_utf8(taken.bytes).unwrap();
            let lines = lines.split("\r\n").filter(|line| !line.starts_with('$') && !line.is_empty());
            lines.map(|line| if line.starts_with('*') { "|" } else { line }).collect::<Vec<_>>().join(" ")
        };
        self.take_logs().into_iter().map(text).collect()
    }

    /// A key of each shard.
    fn keys(&self) -> Vec<String> {
        let route = self.cores[0].0.shared.route;
        let on = |shard| (0..).map(|i| format!("k{i}")).find(|key| route.owner(key.as_bytes()) == shard);
        (0..route.shards()).map(|shard| on(shard).unwrap()).collect()
    }
}

#[test]
fn requests_are_logged_as_they_came() {
    let mut stage = Stage::logging(1);
    let request = "*3\r\n$3\r\nsEt\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\n";
    stage.send(1, &format!("{request}*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$6\r\nLRANGE\r\n$1\r\na"));
    let taken = stage.take_logs().remove(0);
    let select = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n";
    assert_eq!(String::from_utf8(taken.bytes).unwrap(), format!("{select}{request}"));
    // An inline one becomes RESP; what fails or changes nothing is not logged.
    stage.send(2, "set b 'x y'");
    stage.send(2, "LPUSH b 1");
    stage.send(2, "SETNX b 1");
    stage.send(2, "APPEND b \"\"");
    stage.send(2, "DEL nosuch");
    assert_eq!(stage.logged(), ["| set b x y | APPEND b"]);
}

#[test]
fn a_transaction_is_a_unit_with_its_part_in_each_shard() {
    let mut stage = Stage::logging(3);
    let keys = stage.keys();
    let (a, b, c) = (&keys[0], &keys[1], &keys[2]);
    for line in ["MULTI", &format!("SET {a} 1"), &format!("INCR {a}"), &format!("GET {b}"), "EXEC"] {
        stage.send(1, line);
    }
    assert_eq!(
        stage.logged(),
        [format!("| MULTI | SELECT 0 | SET {a} 1 | INCR {a} | EXEC"), "".into(), "".into()]
    );
    for line in ["MULTI", &format!("MSET {a} 1 {c} 2"), &format!("INCR {c}"), "EXEC"] {
        stage.send(1, line);
    }
    let taken = stage.take_logs();
    let parts: Vec<_> = taken.iter().flat_map(|taken| &taken.breaks).collect();
    let [Break::Part { part: one, .. }, Break::Part { part: other, .. }] = parts[..] else {
        panic!("{parts:?}")
    };
    assert_eq!(one, other);
    assert_eq!(one.participants.iter().collect::<Vec<_>>(), [0, 2]);
    for line in ["MULTI", "FLUSHALL", &format!("SET {b} 1"), "EXEC"] {
        stage.send(1, line);
    }
    let taken = stage.take_logs();
    let whole = |taken: &Taken| match &taken.breaks[..] {
        [Break::Turn { at: 0, whole: Some(whole), .. }] => String::from_utf8(whole.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(taken.iter().all(|taken| taken.bytes.is_empty()));
    let begin = "*1\r\n$5\r\nMULTI\r\n*1\r\n$8\r\nFLUSHALL\r\n";
    assert!(taken.iter().all(|taken| whole(taken).starts_with(begin)));
}

#[test]
fn what_is_served_to_those_who_wait_are_units_of_their_own() {
    let mut stage = Stage::logging(2);
    let keys = stage.keys();
    let (a, b) = (&keys[0], &keys[1]);
    stage.send(1, &format!("BLPOP {b} {a} 0"));
    stage.send(2, &format!("BLMOVE {a} {b} LEFT RIGHT 0"));
    assert_eq!(stage.logged(), ["", ""]);
    stage.send(3, &format!("RPUSH {a} 1 2 3"));
    let got = stage.logged();
    assert_eq!(got[0], format!("| SELECT 0 | RPUSH {a} 1 2 3 | LPOP {a} | LPOP {a}"));
    assert_eq!(got[1], format!("| SELECT 0 | RPUSH {b} 2"));
    stage.send(3, &format!("SET {b} 1 PX 10"));
    stage.pass_ms(10);
    stage.logged();
    stage.send(3, &format!("GET {b}"));
    assert_eq!(stage.logged(), ["".to_string(), format!("| DEL {b}")]);
}
