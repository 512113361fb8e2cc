//! kring-bench against its own constant server: a thousand requests, so that neither can rot.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

const BENCH: &str = env!("CARGO_BIN_EXE_kring-bench");

/// Ends its process when the test does, however it ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A constant server on a free port.
fn constant_server() -> (Server, String) {
    let mut command = Command::new(BENCH);
    command.args(["--serve-constant", "127.0.0.1:0", "--seconds", "60"]).stdout(Stdio::piped());
    let mut server = Server(command.spawn().expect("kring-bench starts"));
    let mut line = String::new();
    let stdout = server.0.stdout.take().expect("stdout is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("the server says its port");
    let port = line.trim_end().rsplit(':').next().expect("a port").to_string();
    (server, port)
}

fn bench(port: &str, args: &[&str]) -> Output {
    let mut command = Command::new(BENCH);
    command.args(["--port", port, "--keys", "1000"]).args(args);
    command.output().expect("kring-bench runs")
}

fn json(port: &str, args: &[&str]) -> String {
    let output = bench(port, &[args, &["--json", "-"]].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("JSON is text")
}

#[test]
fn a_thousand_requests() {
    let (server, port) = constant_server();
    let pid = server.0.id().to_string();
    for extra in [
        &["--clients", "5"][..],
        &["--clients", "5", "--pipeline", "16", "--threads", "2", "--dist", "zipf:0.99"],
        &["--clients", "3", "--rate", "50000", "--poisson", "--load", "--idle", "7"],
        &["--clients", "3", "--rate", "50000", "--spin"],
    ] {
        let json = json(&port, &[&["--requests", "1000", "--server-pid", &pid], extra].concat());
        assert!(json.starts_with("{\"ops\":1000,"), "{extra:?}: {json}");
        assert!(json.contains("\"misses\":0,\"errors\":0,\"wrong\":0"), "{extra:?}: {json}");
        let idle = if extra.contains(&"--idle") { "{\"asked\":7,\"open\":7}" } else { "null" };
        assert!(json.contains(&format!("\"idle\":{idle}")), "{extra:?}: {json}");
    }
}

#[test]
fn wrong_lengths_are_found() {
    let (_server, port) = constant_server();
    let json = json(&port, &["--requests", "100", "--ratio", "0:1", "--data-size", "63"]);
    assert!(json.contains("\"wrong\":100"), "{json}");
}

#[test]
fn time_ends_a_run() {
    let (_server, port) = constant_server();
    let json = json(&port, &["--seconds", "0.2", "--warmup", "0.1"]);
    let seconds = json.split("\"seconds\":").nth(1).and_then(|s| s.split(',').next()?.parse::<f64>().ok());
    assert!(seconds.is_some_and(|s| (0.1..2.0).contains(&s)), "{json}");
}

#[test]
fn a_closed_port_is_one_line_and_a_failure() {
    // Taken and given back: nobody listens there now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port().to_string();
    drop(listener);
    let output = bench(&port, &["--requests", "1"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && stderr.lines().count() == 1, "{stderr}");
    assert!(stderr.starts_with("kring-bench: cannot connect to 127.0.0.1:"), "{stderr}");
}
