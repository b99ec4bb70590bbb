//! Memory of the process.

/// Gives all free memory back to the system that the allocator has kept. Takes some 10 µs, and below a millisecond where
/// there is much.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "no other way to it")]
pub(super) fn give_back() {
    // SAFETY: it takes no pointer, and may be called at any time by any thread.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do this themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn give_back() {}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::give_back;

    fn resident_kib() -> usize {
        let text = std::fs::read_to_string("/proc/self/status").expect("a status");
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    #[test]
    fn what_was_freed_leaves_the_process() {
        // Small pieces, of which one in a thousand stays: no page range ends the heap.
        let mut pieces: Vec<Box<[u8]>> = (0..200_000).map(|_| vec![1; 1_000].into()).collect();
        let mut number = 0;
        pieces.retain(|_| {
            number += 1;
            number % 1_000 == 0
        });
        let before = resident_kib();
        give_back();
        // Other tests may have taken some meanwhile.
        assert!(resident_kib() + 100_000 < before, "{} KiB of {before}", resident_kib());
        drop(pieces);
    }
}
