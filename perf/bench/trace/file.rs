//! Trace files, read whole: every request is a number of a key.
//!
//! ```text
//!  *.lis           start count _ seq      a request for each of the blocks start .. start + count (the ARC traces)
//!  *.csv           key,size   or   time,key,size[,..]; a header with the columns' names may say which they are
//!  anything else   a key a line
//! ```
//! A name that ends in `.zst` is unpacked first. `zipf` and `scan` name no files: see [`super::synthetic`].

use super::synthetic;
use std::collections::HashMap;
use std::io::Read;

/// A sequence of requests.
#[derive(Default, Debug)]
pub struct Trace {
    pub keys: Vec<Box<[u8]>>,
    /// By key: bytes of its value; 0: as `--data-size` says.
    pub sizes: Vec<u32>,
    /// Indices of keys.
    pub requests: Vec<u32>,
}

/// Longest list of blocks that one line of a `.lis` may name.
const MAX_COUNT: u64 = 1 << 20;

/// Collects requests.
#[derive(Default)]
pub struct Collector {
    trace: Trace,
    numbers: HashMap<Box<[u8]>, u32>,
}

impl Collector {
    /// One more request.
    pub fn ask(&mut self, key: &[u8], size: u32) {
        let number = match self.numbers.get(key) {
            Some(number) => *number,
            None => {
                let number = self.trace.keys.len() as u32;
                self.numbers.insert(key.into(), number);
                self.trace.keys.push(key.into());
                self.trace.sizes.push(size);
                number
            }
        };
        self.trace.requests.push(number);
    }

    pub fn finish(self) -> Trace {
        self.trace
    }
}

/// Reads a trace.
pub fn read(path: &str, seed: u64) -> Result<Trace, String> {
    if let Some(trace) = synthetic::named(path, seed) {
        return Ok(trace);
    }
    let failed = |e: &dyn std::fmt::Display| format!("cannot read {path}: {e}");
    let mut file = std::fs::File::open(path).map_err(|e| failed(&e))?;
    let mut text = Vec::new();
    let name = match path.strip_suffix(".zst") {
        Some(name) => {
            let mut unpacked = ruzstd::decoding::StreamingDecoder::new(file).map_err(|e| failed(&e))?;
            unpacked.read_to_end(&mut text).map_err(|e| failed(&e))?;
            name
        }
        None => {
            file.read_to_end(&mut text).map_err(|e| failed(&e))?;
            path
        }
    };
    let trace = parse(name, &text)?;
    if trace.requests.is_empty() { Err(format!("{path} holds no request")) } else { Ok(trace) }
}

fn parse(name: &str, text: &[u8]) -> Result<Trace, String> {
    let lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let mut all = Collector::default();
    if name.ends_with(".lis") {
        for line in lines {
            let mut words = line.split(|b| *b == b' ').filter(|w| !w.is_empty()).map(number);
            let (Some(Some(start)), Some(Some(count))) = (words.next(), words.next()) else {
                return Err(format!("not `start count ..`: {}", String::from_utf8_lossy(line)));
            };
            if count > MAX_COUNT {
                return Err(format!("a line asks for {count} blocks"));
            }
            (start..start + count).for_each(|block| all.ask(block.to_string().as_bytes(), 0));
        }
    } else if name.ends_with(".csv") {
        parse_csv(lines, &mut all)?;
    } else {
        lines.for_each(|line| all.ask(line, 0));
    }
    Ok(all.finish())
}

fn parse_csv<'a>(lines: impl Iterator<Item = &'a [u8]>, all: &mut Collector) -> Result<(), String> {
    let mut columns = None;
    for line in lines {
        let cells: Vec<&[u8]> = line.split(|b| *b == b',').map(<[u8]>::trim_ascii).collect();
        let (key, size) = match columns {
            Some(columns) => columns,
            None => {
                let at = |names: &[&str]| {
                    cells.iter().position(|c| names.iter().any(|n| c.eq_ignore_ascii_case(n.as_bytes())))
                };
                if let (Some(key), Some(size)) =
                    (at(&["key", "id", "obj_id"]), at(&["size", "obj_size", "bytes", "value_size"]))
                {
                    columns = Some((key, size));
                    continue;
                }
                *columns.insert(if cells.len() > 2 { (1, 2) } else { (0, 1) })
            }
        };
        let bytes = cells.get(size).and_then(|c| number(c)).and_then(|n| u32::try_from(n).ok());
        let (Some(key), Some(bytes)) = (cells.get(key), bytes) else {
            return Err(format!("no key and size: {}", String::from_utf8_lossy(line)));
        };
        all.ask(key, bytes.max(1));
    }
    Ok(())
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(trace: &Trace) -> (Vec<&str>, Vec<u32>, Vec<u32>) {
        let keys = trace.keys.iter().map(|k| std::str::from_utf8(k).expect("text")).collect();
        (keys, trace.sizes.clone(), trace.requests.clone())
    }

    #[test]
    fn formats_are_read() {
        let lis = parse("x.lis", b"10 2 0 1\n11 1 0 2\n").expect("valid");
        assert_eq!(shape(&lis), (vec!["10", "11"], vec![0, 0], vec![0, 1, 1]));
        let list = parse("keys", b"a\nb\n\na\n").expect("valid");
        assert_eq!(shape(&list), (vec!["a", "b"], vec![0, 0], vec![0, 1, 0]));
        let csv = parse("x.csv", b"a,10\nb,20\na,10\n").expect("valid");
        assert_eq!(shape(&csv), (vec!["a", "b"], vec![10, 20], vec![0, 1, 0]));
        let named = parse("x.csv", b"time,size,key\n1,5,k\n2,6,l\n").expect("valid");
        assert_eq!(shape(&named), (vec!["k", "l"], vec![5, 6], vec![0, 1]));
        let timed = parse("x.csv", b"1,k,7\n2,k,7\n").expect("valid");
        assert_eq!(shape(&timed), (vec!["k"], vec![7], vec![0, 0]));
        for (name, text) in
            [("x.lis", "a b"), ("x.lis", "1"), ("x.csv", "a"), ("x.csv", "a,b"), ("x.lis", "1 99999999")]
        {
            assert!(parse(name, text.as_bytes()).is_err(), "{name} {text}");
        }
    }
}
