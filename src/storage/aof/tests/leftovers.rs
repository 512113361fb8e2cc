//! What a crash leaves in the directory, and what is counted of what is there.

use super::*;

#[test]
fn what_a_crash_leaves_behind_goes_or_is_told() {
    let scratch = Scratch::new("left");
    drop(load(&scratch, 2, true, None));
    let mut begun = Vec::new();
    Framer::new(1, 0, 9, 1).begin_file(&mut begun);
    pad(&mut begun);
    scratch.put("a.aof.3.incr.aof", &begun);
    scratch.put("temp-a.aof.4.incr.aof", b"x");
    scratch.put("temp-a.aof.manifest", b"x");
    scratch.put("temp-a.aof.base", b"x");
    scratch.put("a.aof.7.incr.aof", set("who knows").as_bytes());
    scratch.put("else.txt", b"x");
    let outcome = load(&scratch, 2, true, None);
    assert_eq!(
        outcome.warnings(),
        ["a.aof.7.incr.aof is not named by the manifest of the log: it was left alone"]
    );
    let expected =
        ["a.aof.1.incr.aof", "a.aof.2.incr.aof", "a.aof.3.incr.aof", "a.aof.4.incr.aof", "a.aof.7.incr.aof"];
    assert_eq!(scratch.names(), [&expected[..], &["a.aof.manifest", "else.txt"]].concat());
    // When its name is needed it moves out of the way.
    load(&scratch, 4, true, None).recovered.expect("loaded");
    assert!(scratch.names().contains(&"a.aof.7.incr.aof.unlisted-1".into()));
    let kept = std::fs::read(scratch.path("a.aof.7.incr.aof.unlisted-1")).expect("kept");
    assert_eq!(kept, set("who knows").as_bytes());
    // Of a first start that died before the manifest, nothing counts.
    let other = Scratch::new("left-2");
    other.put("a.aof.1.incr.aof", &begun);
    assert_eq!(goes_on(&load(&other, 1, true, None).recovered.expect("loaded")).files.len(), 1);
}

#[test]
fn what_holds_nothing_goes_and_what_may_be_missed_stays() {
    let scratch = Scratch::new("aside");
    drop(load(&scratch, 1, true, None));
    let mut begun = Vec::new();
    Framer::new(1, 0, 9, 1).begin_file(&mut begun);
    let mut with_data = Framer::alone(3, 9);
    let mut data = Vec::new();
    with_data.begin_file(&mut data);
    with_data.frame(&mut data, [set("a"), command(&["FLUSHALL"])].concat().as_bytes(), None);
    let gone: [(&str, &[u8]); 8] = [
        ("a.aof.2.incr.aof", b""),
        ("a.aof.3.incr.aof", &[0; 4_096]),
        ("a.aof.4.incr.aof", &begun[..70]),
        ("a.aof.5.incr.aof", &alone_file(5, 7)),
        ("a.aof.2.incr.aof.unlisted-1", &begun),
        ("a.aof.2.incr.aof.unlisted-22", &alone_file(5, 7)),
        ("a.aof.2.base.rdb", b"a base in the making"),
        ("temp-a.aof.commands", b"x"),
    ];
    let kept: [(&str, &[u8]); 6] = [
        // Before what is listed: somebody has taken it out.
        ("a.aof.6.incr.aof", &alone_file(5, 1)),
        ("a.aof.7.incr.aof", &data),
        ("a.aof.8.base.rdb", b"another base"),
        ("a.aof.2.incr.aof.unlisted-3", &data),
        ("a.aof.2.incr.aof.unlisted-4", b"*1\r\n"),
        ("b.aof.1.incr.aof.unlisted-1", b""),
    ];
    gone.iter().chain(&kept).for_each(|(name, bytes)| scratch.put(name, bytes));
    std::fs::hard_link(scratch.path("a.aof.2.base.rdb"), scratch.path("temp-a.aof.base")).expect("linked");
    let outcome = load(&scratch, 1, true, None);
    let notes = &outcome.recovered.as_ref().expect("loaded").notes;
    let names = scratch.names();
    for (name, _) in gone.iter().filter(|(name, _)| *name != "a.aof.2.incr.aof") {
        assert!(!names.contains(&name.to_string()), "{name}: {notes:?}");
        assert!(notes.iter().any(|note| note.text.contains(name)), "{name}: {notes:?}");
    }
    assert!(!names.contains(&"temp-a.aof.base".into()));
    for (name, bytes) in kept {
        assert_eq!(std::fs::read(scratch.path(name)).expect(name), bytes);
    }
    assert_eq!(outcome.warnings().len(), 4, "the base is told of twice: {notes:?}");
    let aside = format!("2 files ({} bytes) in aofdir are no part of the log", data.len() + 4);
    assert!(notes.iter().any(|note| note.text.starts_with(&aside)), "{notes:?}");
    assert_eq!(std::fs::metadata(scratch.path("a.aof.2.incr.aof")).expect("the next file").len(), 4_096);
}

#[test]
fn generations_of_runs_before_are_counted() {
    let scratch = Scratch::new("count");
    for run in 1..4 {
        assert_eq!(load(&scratch, 2, true, None).recovered.expect("loaded").generations, run);
    }
    let mut dir = load(&scratch, 2, true, None).dir.expect("it goes on");
    let flush = Some(Arc::from(command(&["FLUSHALL"]).as_bytes()));
    let ends = dir.ends(&[Some(4_096); 2]);
    dir.turn(Turn { ends, whole: flush, after: After::Named }).expect("made");
    dir.let_go();
    assert_eq!(load(&scratch, 2, true, None).recovered.expect("loaded").generations, 6);
}
