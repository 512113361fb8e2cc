//! Starting and stopping: exit codes, what is said, and that a port is free again.

use crate::client::{Client, words};
use crate::reply::Reply;
use crate::server::{KRING, Scratch, Server, free_port, wait_until};
use std::ffi::OsStr;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs kring-server to its end; it must end by itself.
fn run_to_end(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(KRING)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let started = std::time::Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > crate::client::PATIENCE {
            let _ = child.kill();
            panic!("{args:?}: it runs; it should have refused");
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Standard error of a start that is refused with exit code 1.
fn refusal(args: &[&str], stdin: &str) -> String {
    let output = run_to_end(args, stdin);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    text
}

fn assert_one_line(text: &str, parts: &[&str]) {
    assert_eq!(text.trim_end().lines().count(), 1, "not one line:\n{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

/// Stops a busy server and starts another on its port at once.
fn stop_and_start(stop: impl Fn(&Server)) {
    for shards in [1, 3] {
        let mut server = Server::kring(shards, &[]);
        let stopping = AtomicBool::new(false);
        let status = std::thread::scope(|scope| {
            for i in 0..3 {
                let mut client = server.connect();
                let stopping = &stopping;
                scope.spawn(move || {
                    let mut n = 0;
                    loop {
                        let sent = client.send(format!("MSET a{i} {n} b{i} {n} c{i} {n}\r\n").as_bytes());
                        if sent.is_err() || client.try_reply().is_err() {
                            assert!(stopping.load(Ordering::Relaxed), "closed too early");
                            return;
                        }
                        n += 1;
                    }
                });
            }
            wait_until("traffic flows", || server.connect().run("EXISTS a0 a1 a2") == Reply::Int(3));
            stopping.store(true, Ordering::Relaxed);
            stop(&server);
            server.wait()
        });
        assert_eq!(status.code(), Some(0), "{}", server.log());
        let again = Server::kring_on(server.port, shards, &[]).expect("the port is free at once");
        assert_eq!(again.connect().run("DBSIZE"), Reply::Int(0));
    }
}

#[test]
fn sigterm_stops_cleanly_and_frees_the_port() {
    stop_and_start(|server| server.signal("TERM"));
}

#[test]
fn sigint_stops_cleanly_and_frees_the_port() {
    stop_and_start(|server| server.signal("INT"));
}

#[test]
fn shutdown_stops_cleanly_and_frees_the_port() {
    stop_and_start(|server| {
        let mut client = server.connect();
        client.send(b"SHUTDOWN NOSAVE\r\n").unwrap();
        assert_eq!(client.until_closed(), b"");
    });
}

#[test]
fn a_taken_port_is_told_in_one_line() {
    let port = free_port();
    let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let text = refusal(&["--port", &port.to_string(), "--bind", "127.0.0.1"], "");
    assert_one_line(&text, &[&port.to_string(), "in use"]);
}

#[test]
fn a_core_that_does_not_exist_is_told_in_one_line() {
    let text = refusal(&["--port", &free_port().to_string(), "--cpu-list", "0,900"], "");
    assert_one_line(&text, &["cpu-list", "900"]);
}

#[test]
fn an_address_of_nobody_is_told_in_one_line() {
    // From the range for documentation: no host has it.
    let text = refusal(&["--port", &free_port().to_string(), "--bind", "192.0.2.1"], "");
    assert_one_line(&text, &["192.0.2.1", "bind"]);
}

#[test]
fn a_missing_directory_is_told() {
    let text = refusal(&["--port", &free_port().to_string(), "--dir", "/no/such/directory"], "");
    assert!(text.contains("No such file or directory"), "{text}");
}

#[test]
fn an_argument_that_is_not_text_is_told_in_one_line() {
    let output =
        Command::new(KRING).arg("--requirepass").arg(OsStr::from_bytes(b"p\xe4ss")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_one_line(&String::from_utf8_lossy(&output.stderr), &["UTF-8", "ss"]);
}

/// Too little memory that may be locked would let nothing be saved; and a dataset would look damaged.
#[test]
fn locked_memory_is_raised_or_asked_for() {
    let (scratch, port) = (Scratch::new(), free_port());
    let child = Command::new("sh")
        .args(["-c", "ulimit -l 64; exec \"$0\" \"$@\"", KRING, "--shards", "2", "--port", &port.to_string()])
        .current_dir(scratch.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Running(child.unwrap());
    let connect = || Client::tcp((Ipv4Addr::LOCALHOST, port));
    wait_until("it answers or refuses", || connect().is_ok() || child.0.try_wait().unwrap().is_some());
    if let Some(status) = child.0.try_wait().unwrap() {
        let mut text = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(status.code(), Some(1), "{text}");
        assert_one_line(&text, &["memlock", "ulimit -l"]);
        return;
    }
    // Whoever may raise it has done so.
    connect().unwrap().ok("SAVE");
}

#[test]
fn bad_configuration_gives_the_text_of_redis() {
    let scratch = Scratch::new();
    let file = scratch.path().join("kring.conf");
    let lines = [
        ("nosuch 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port abc", "argument couldn't be parsed into an integer"),
        ("port 70000", "argument must be between 0 and 65535 inclusive"),
        ("appendonly maybe", "argument must be 'yes' or 'no'"),
        ("maxmemory-policy nosuch", "argument(s) must be one of the following"),
        ("bind \"unbalanced", "Unbalanced quotes in configuration line"),
    ];
    for (line, error) in lines {
        std::fs::write(&file, format!("# first\n\n{line}\n")).unwrap();
        let text = refusal(&[file.to_str().unwrap()], "");
        assert!(text.contains("FATAL CONFIG FILE ERROR"), "{text}");
        assert!(text.contains("at line 3\n") && text.contains(&format!(">>> '{line}'")), "{text}");
        assert!(text.contains(error), "{line}: {text}");
    }
    let text = refusal(&["--nosuch", "1"], "");
    assert!(text.contains(">>> 'nosuch \"1\"'\nBad directive or wrong number of arguments"), "{text}");
    let text = refusal(&["/no/such/file.conf"], "");
    assert!(
        text.contains("Fatal error, can't open config file '/no/such/file.conf': No such file or directory"),
        "{text}"
    );
}

#[test]
fn a_file_flags_and_the_standard_input_make_the_configuration() {
    let scratch = Scratch::new();
    let file = scratch.path().join("kring.conf");
    let (port, other) = (free_port(), free_port());
    std::fs::write(&file, format!("port {other}\nmaxclients 77\nshards 2\n")).unwrap();
    let child = Command::new(KRING)
        .args([file.to_str().unwrap(), "--maxclients", "78", "-"])
        .current_dir(scratch.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let text = format!("port {port}\nsave \"\"\nslowlog-max-len 5\n");
    child.0.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    wait_until("it answers on the port of the standard input", || {
        Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    let mut client = Client::tcp((Ipv4Addr::LOCALHOST, port)).unwrap();
    let replies = ["maxclients", "slowlog-max-len", "shards"].map(|k| client.run(&format!("CONFIG GET {k}")));
    let stopped = Command::new("kill").arg(child.0.id().to_string()).status();
    assert!(stopped.is_ok_and(|s| s.success()) && child.0.wait().unwrap().success());
    let values = replies.map(|r| r.array()[1].text());
    assert_eq!(values, ["78", "5", "2"]);
}

#[test]
fn config_rewrite_is_read_back() {
    let scratch = Scratch::new();
    let file = scratch.path().join("kring.conf");
    let port = free_port();
    std::fs::write(
        &file,
        format!("# mine\nport {port}\nshards 2\nenable-debug-command yes\nrename-command flushdb badger\n"),
    )
    .unwrap();
    let start = || {
        let child =
            Command::new(KRING).arg(&file).current_dir(scratch.path()).stdout(Stdio::null()).spawn().unwrap();
        let child = Running(child);
        wait_until("it answers", || Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok());
        (child, Client::tcp((Ipv4Addr::LOCALHOST, port)).unwrap())
    };
    let (mut child, mut client) = start();
    client.ok("CONFIG SET slowlog-max-len 17 timeout 99");
    client.ok("CONFIG REWRITE");
    client.send(b"SHUTDOWN\r\n").unwrap();
    assert!(child.0.wait().unwrap().success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\n") && text.contains("slowlog-max-len 17"), "{text}");
    let (mut child, mut client) = start();
    assert_eq!(client.run("CONFIG GET slowlog-max-len").array()[1].text(), "17");
    assert_eq!(client.run("CONFIG GET timeout").array()[1].text(), "99");
    wait_until("what it had is loaded", || {
        Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok_and(|mut client| client.run("BADGER").is_ok())
    });
    assert!(client.run("FLUSHDB").text().contains("unknown command"));
    let settings = client.run("CONFIG GET *");
    client.ok("DEBUG CONFIG-REWRITE-FORCE-ALL");
    client.send(b"SHUTDOWN\r\n").unwrap();
    assert!(child.0.wait().unwrap().success());
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("\ntimeout 99\n") && text.contains("\nmaxclients 10000\n"), "{text}");
    let (mut child, mut client) = start();
    assert_eq!(client.run("CONFIG GET *"), settings);
    client.send(b"SHUTDOWN\r\n").unwrap();
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn debug_ends_the_process_as_a_bug_does() {
    for (what, said) in [
        ("ASSERT", "DEBUG ASSERT was called"),
        ("PANIC", "DEBUG PANIC was called"),
        ("OOM", "memory allocation of"),
    ] {
        let scratch = Scratch::new();
        let port = free_port();
        let child = Command::new(KRING)
            .args(["--port", &port.to_string(), "--shards", "2", "--enable-debug-command", "yes"])
            .current_dir(scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = Running(child.unwrap());
        wait_until("it answers", || Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok());
        let mut client = Client::tcp((Ipv4Addr::LOCALHOST, port)).unwrap();
        client.send(format!("DEBUG {what}\r\n").as_bytes()).unwrap();
        assert_eq!(client.until_closed(), b"");
        assert!(!child.0.wait().unwrap().success());
        let mut text = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn version_and_help_are_printed() {
    let version = run_to_end(&["--version"], "");
    assert_eq!(version.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&version.stdout).to_lowercase().contains("kring"));
    let help = run_to_end(&["--help"], "");
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("--maxclients"));
}

#[test]
fn where_to_listen_is_set_live() {
    let server = Server::kring(3, &[]);
    let old = server.addr().port();
    let (other, taken) = (free_port(), TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap());
    let connects = |port: u16| Client::tcp((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut client = server.connect();
    client.ok(&format!("CONFIG SET port {other} timeout 77"));
    assert!(connects(other));
    wait_until("the old port is closed", || !connects(old));
    let mut client = Client::tcp((Ipv4Addr::LOCALHOST, other)).unwrap();
    assert_eq!(client.run("CONFIG GET port").array()[1].text(), other.to_string());
    assert_eq!(client.run("CONFIG GET timeout").array()[1].text(), "77");
    assert!(client.run("INFO server").text().contains(&format!("tcp_port:{other}\r\n")));
    // Nobody else gets it, although old and new sockets may share a port for a moment.
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, other)).is_err());

    let failed = "ERR CONFIG SET failed (possibly related to argument ";
    let port = taken.local_addr().unwrap().port();
    let reply = client.run(&format!("CONFIG SET timeout 5 port {port}"));
    let text = format!("{failed}'port') - Unable to listen on this port. Check server logs.");
    assert_eq!(reply, Reply::Error(text.into_bytes()));
    for absent in ["192.0.2.1", "127.0.0.1 192.0.2.1"] {
        let reply = client.call(&["CONFIG", "SET", "bind", absent]);
        let text = format!("{failed}'bind') - Failed to bind to specified addresses.");
        assert_eq!(reply, Reply::Error(text.into_bytes()));
    }
    assert_eq!(client.run("CONFIG GET timeout").array()[1].text(), "77");
    assert!(connects(other) && client.run("PING").text() == "PONG");

    // Fewer addresses, more, all: the port stays open meanwhile.
    for bind in ["127.0.0.1", "127.0.0.1 -::1", "* -::*", "127.0.0.1"] {
        assert_eq!(client.call(&["CONFIG", "SET", "bind", bind]).text(), "OK");
        assert_eq!(client.run("CONFIG GET bind").array()[1].text(), bind);
        assert!(
            (0..20).all(|_| Client::tcp((Ipv4Addr::LOCALHOST, other)).unwrap().run("PING").text() == "PONG")
        );
    }
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, other)).is_err());
    client.ok("MULTI");
    client.run(&format!("CONFIG SET port {old}"));
    client.run("ECHO x");
    assert_eq!(client.run("EXEC").array().iter().map(Reply::text).collect::<Vec<_>>(), ["OK", "x"]);
    assert!(connects(old));
    wait_until("the other port is closed", || !connects(other));
}

#[test]
fn info_tells_how_long_turns_and_threads_took() {
    let server = Server::kring(2, &[]);
    let mut client = server.connect();
    (0..300).for_each(|i| client.ok(&format!("SET key:{i} v PX 1")));
    let number = |field: &str| server.info()[field].parse::<f64>().unwrap_or_else(|e| panic!("{field}: {e}"));
    wait_until("they go", || client.run("DBSIZE").int() == 0);
    wait_until("turns are sampled", || number("instantaneous_eventloop_cycles_per_sec") > 0.0);
    assert!(number("eventloop_duration_sum") >= number("eventloop_duration_cmd_sum"));
    assert!(number("eventloop_duration_sum") > 0.0 && number("eventloop_duration_sum") < 60e6);
    assert!(number("instantaneous_eventloop_duration_usec") < 1e6);
    assert!(number("kring_expire_ns") > 0.0);
    assert!(number("expired_stale_perc") <= 100.0);
    let all = client.run("INFO everything").text();
    let shard = all.lines().find(|line| line.starts_with("shard0:")).unwrap();
    let cpu = |name: &str| {
        let value = shard.split([',', ':']).find_map(|part| part.strip_prefix(name)).unwrap();
        value.parse::<u64>().unwrap()
    };
    assert!(cpu("cpu_user_us=") + cpu("cpu_sys_us=") > 0, "{shard}");
    assert!(number("used_cpu_user_main_thread") + number("used_cpu_sys_main_thread") > 0.0);
}

#[test]
fn a_signal_during_a_reload_ends_the_server_when_that_is_over() {
    let mut server = Server::kring(2, &["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ok("DEBUG POPULATE 3000 key 100");
    client.ok("CONFIG SET key-load-delay 20");
    client.send(&words("DEBUG RELOAD")).unwrap();
    wait_until("it loads", || server.log().contains("DB saved on disk"));
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.log());
    assert!(server.log().contains("DB reloaded by DEBUG RELOAD"), "{}", server.log());
}
