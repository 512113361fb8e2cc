//! Which nodes of memory the machine has, and which processors are near each. `/sys` is read once, at boot.

use std::path::Path;
use std::sync::OnceLock;

/// More nodes than this count as the last of them.
pub const NODES_MAX: usize = 16;
const NODES: &str = "/sys/devices/system/node";

/// The node of each processor, where there are several.
static NODE_OF: OnceLock<Vec<u8>> = OnceLock::new();

/// A node's number and its processors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    pub number: usize,
    pub cpus: Vec<usize>,
}

/// The numbers of a list as the kernel writes it: `0-3,8`. None if it is none.
fn numbers(list: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in list.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(numbers)
}

/// The nodes below a directory that have processors. None where it does not tell.
fn nodes_in(directory: &Path) -> Option<Vec<Node>> {
    let read = |name: String| std::fs::read_to_string(directory.join(name)).ok();
    let mut nodes = Vec::new();
    for number in numbers(&read("online".into())?)? {
        let cpus = numbers(&read(format!("node{number}/cpulist"))?)?;
        if !cpus.is_empty() {
            nodes.push(Node { number: number.min(NODES_MAX - 1), cpus });
        }
    }
    Some(nodes)
}

/// The machine's nodes, and remembers them for [`here`]. Empty where there is one only, or the kernel does not tell.
pub fn nodes() -> Vec<Node> {
    let nodes = nodes_in(Path::new(NODES)).filter(|nodes| nodes.len() > 1).unwrap_or_default();
    let cpus = nodes.iter().flat_map(|node| &node.cpus).max().map_or(0, |last| last + 1);
    let mut node_of = vec![0; cpus];
    for node in &nodes {
        node.cpus.iter().for_each(|cpu| node_of[*cpu] = node.number as u8);
    }
    // The first call counts: there is one, at boot.
    let _ = NODE_OF.set(node_of);
    nodes
}

/// The node of the core that runs the calling thread; 0 where there is one only.
pub fn here() -> usize {
    let Some(node_of) = NODE_OF.get().filter(|node_of| !node_of.is_empty()) else { return 0 };
    // SAFETY: the call reads and changes nothing of ours.
    let cpu = unsafe { libc::sched_getcpu() };
    usize::try_from(cpu).ok().and_then(|cpu| node_of.get(cpu)).map_or(0, |node| usize::from(*node))
}

/// Keeps the calling thread on these processors. False when the kernel refuses.
pub fn stay_on(cpus: &[usize]) -> bool {
    // SAFETY: a set of processors is plain bits, of which 0 is none; numbers beyond it are left out.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        let fit = cpus.iter().filter(|cpu| **cpu < libc::CPU_SETSIZE as usize);
        fit.for_each(|cpu| libc::CPU_SET(*cpu, &mut set));
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_the_kernel_are_read() {
        assert_eq!(numbers("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!((numbers("\n"), numbers("x")), (Some(Vec::new()), None));
    }

    #[test]
    #[cfg_attr(miri, ignore)]
    fn nodes_are_found_with_their_processors() {
        let root = std::env::temp_dir().join(format!("kring-numa-{}", std::process::id()));
        let write = |name: &str, text: &str| {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().expect("below the root")).expect("a directory");
            std::fs::write(path, text).expect("a file");
        };
        write("online", "0-2\n");
        write("node0/cpulist", "0-1,4\n");
        write("node1/cpulist", "2-3\n");
        // Memory without processors.
        write("node2/cpulist", "\n");
        let found = nodes_in(&root);
        std::fs::remove_dir_all(&root).expect("it was made above");
        let node = |number, cpus: &[usize]| Node { number, cpus: cpus.to_vec() };
        assert_eq!(found, Some(vec![node(0, &[0, 1, 4]), node(1, &[2, 3])]));
        assert_eq!(nodes_in(&root), None);
    }
}
