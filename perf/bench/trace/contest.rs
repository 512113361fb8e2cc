//! The contest: every server with every policy at every size, each in a process of its own that is started and ended here.
//!
//! A size is a part of the footprint: what the server's `used_memory` grows by when every key of the trace is set, without a
//! bound. With `--trace-memory same` every server gets what the first one would need; `own` (the default) gives each the same
//! part of its own footprint, so that all hold about as many keys, and only the choice of keys is compared.

use super::file::{self, Trace};
use super::replay::Client;
use crate::Flags;
use crate::drive::STOP;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a server may take to answer.
const BOOT: Duration = Duration::from_secs(20);
/// Characters of a full bar.
const BAR: f64 = 50.0;

/// A server process, ended when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `program args..` on a free port.
    fn start(line: &str) -> Result<Server, String> {
        let failed = |e: &dyn std::fmt::Display| format!("cannot start {line}: {e}");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| failed(&e))?.port();
        let mut words = line.split_whitespace();
        let program = words.next().ok_or("an empty --trace-server")?;
        let port_text = port.to_string();
        let child = Command::new(program)
            .args(["--port", &port_text, "--save", ""])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|e| failed(&e))?;
        let server = Server { child, port };
        let deadline = Instant::now() + BOOT;
        loop {
            match Client::connect(port).map_err(|e| e.to_string()).and_then(|mut c| c.run("PING")) {
                Ok(()) => return Ok(server),
                Err(e) if Instant::now() > deadline => return Err(failed(&e)),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn client(&self) -> Result<Client, String> {
        Client::connect(self.port).map_err(|e| format!("cannot connect: {e}"))
    }
}

/// One line of the table.
struct Row {
    server: String,
    policy: String,
    ratios: Vec<f64>,
}

/// `used_memory` of a server that is empty, and what all keys add.
fn footprint(line: &str, trace: &Trace, size: usize) -> Result<(u64, u64), String> {
    let server = Server::start(line)?;
    let mut client = server.client()?;
    let empty = client.info("memory", "used_memory")?;
    client.load(trace, size)?;
    let full = client.info("memory", "used_memory")?;
    Ok((empty, full.saturating_sub(empty)))
}

/// Runs the contest that the flags ask for.
pub fn run(flags: &Flags, path: &str) -> Result<(), String> {
    let trace = file::read(path, flags.seed)?;
    let size = flags.data_size.max;
    let parts = parse_parts(&flags.trace_sizes)?;
    println!("{path}: {} requests for {} keys", trace.requests.len(), trace.keys.len());
    let mut first = None;
    let mut rows = Vec::new();
    for line in &flags.trace_server {
        let (empty, own) = footprint(line, &trace, size)?;
        let whole = if flags.trace_memory == "same" { *first.get_or_insert(own) } else { own };
        println!("{line}: {} bytes a key in full", own / trace.keys.len() as u64);
        for policy in &flags.trace_policies {
            let mut ratios = Vec::new();
            for part in &parts {
                let limit = empty + (whole as f64 * part / 100.0) as u64;
                match one(line, policy, limit, &trace, size) {
                    Ok(ratio) => ratios.push(ratio),
                    // A policy that the server does not know has no row.
                    Err(e) if e.contains("maxmemory-policy") => break,
                    Err(e) => return Err(format!("{line}, {policy}, {part}%: {e}")),
                }
                if STOP.load(Ordering::Relaxed) {
                    return Err("interrupted".into());
                }
            }
            if ratios.len() == parts.len() {
                eprintln!("{line} {policy}: {ratios:.4?}");
                rows.push(Row { server: line.clone(), policy: policy.clone(), ratios });
            }
        }
    }
    print!("{}", table(&parts, &rows));
    print!("{}", plot(&parts, &rows));
    Ok(())
}

fn one(line: &str, policy: &str, limit: u64, trace: &Trace, size: usize) -> Result<f64, String> {
    let server = Server::start(line)?;
    let mut client = server.client()?;
    client.run(&format!("CONFIG SET maxmemory-policy {policy}"))?;
    client.run(&format!("CONFIG SET maxmemory {limit}"))?;
    Ok(client.replay(trace, size)?.ratio())
}

/// Percents, as in `0.1,1,10`.
fn parse_parts(list: &str) -> Result<Vec<f64>, String> {
    let part = |text: &str| text.trim().parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 100.0);
    let parts: Option<Vec<f64>> = list.split(',').map(part).collect();
    parts.ok_or_else(|| format!("--trace-sizes wants percents such as 0.1,1,10, not {list}"))
}

/// The program's name alone, with what follows it.
fn short(line: &str) -> &str {
    let program = line.split(' ').next().unwrap_or(line);
    &line[program.rfind('/').map_or(0, |at| at + 1)..]
}

fn table(parts: &[f64], rows: &[Row]) -> String {
    let mut text = String::from("\n| hit ratio, percent | policy |");
    parts.iter().for_each(|p| text += &format!(" {p}% |"));
    text += &format!("\n|---|---|{}\n", "---:|".repeat(parts.len()));
    for row in rows {
        text += &format!("| {} | {} |", short(&row.server), row.policy);
        row.ratios.iter().for_each(|r| text += &format!(" {:.2} |", r * 100.0));
        text.push('\n');
    }
    text
}

fn plot(parts: &[f64], rows: &[Row]) -> String {
    let mut text = String::new();
    for (i, part) in parts.iter().enumerate() {
        text += &format!("\n{part}% of the footprint\n");
        for row in rows {
            let bar = "#".repeat((row.ratios[i] * BAR).round() as usize);
            let name = format!("{} {}", short(&row.server), row.policy);
            text += &format!("{name:>40} {bar} {:.2}\n", row.ratios[i] * 100.0);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_percents() {
        assert_eq!(parse_parts("0.1, 1,50"), Ok(vec![0.1, 1.0, 50.0]));
        for bad in ["", "0", "101", "a", "1,,2"] {
            assert!(parse_parts(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn results_are_a_table_and_bars() {
        let rows =
            [Row { server: "/x/kring-server --shards 1".into(), policy: "p".into(), ratios: vec![0.5] }];
        assert!(table(&[1.0], &rows).ends_with("| kring-server --shards 1 | p | 50.00 |\n"));
        assert!(plot(&[1.0], &rows).contains(&format!("{} 50.00", "#".repeat(25))));
    }
}
