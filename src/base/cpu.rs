//! Whether this processor has what the build asks for (`.cargo/config.toml`), and how a thread shares its core.

use std::arch::x86_64::{__cpuid, __cpuid_count};

/// What the processor lacks, by name: AES and PCLMULQDQ, and AVX2 and BMI2, which stand for x86-64-v3.
pub fn missing() -> Option<&'static str> {
    let (leaf1, leaf7) = (__cpuid(1), __cpuid_count(7, 0));
    [
        ("AES", leaf1.ecx & 1 << 25),
        ("PCLMULQDQ", leaf1.ecx & 1 << 1),
        ("AVX2", leaf7.ebx & 1 << 5),
        ("BMI2", leaf7.ebx & 1 << 8),
    ]
    .into_iter()
    .find_map(|(name, bit)| (bit == 0).then_some(name))
}

/// From now on the calling thread, when it wakes, lets the thread that runs on its core go on until that sleeps or has had its
/// time. For threads that share a core and hold what the others need. False when the kernel refuses.
pub fn wait_for_turn() -> bool {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads `param` and changes nothing but the calling thread's scheduling.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &param) == 0 }
}

/// Has the calling thread give way to others that want its core: it runs where and while nobody else would, and whoever wakes takes
/// its core at once. A low priority alone (nice) is not enough: the scheduler lets a thread that runs finish its slice of some
/// milliseconds. Where this is refused nothing changes.
pub fn give_way() {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: reads the parameters; 0 is the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &none) };
}

/// Takes that back: the calling thread has a share of its core like any other. Where this is refused nothing changes.
pub fn take_share() {
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: as in `give_way`.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &none) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_runs_this_test_lacks_nothing() {
        assert_eq!(super::missing(), None);
    }
}
