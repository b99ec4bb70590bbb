//! Whether the program was started with a standard output.
//!
//! Rust's runtime replaces a closed one with `/dev/null` before `main`: writes would succeed, and mail would
//! count as shown. Afterwards it cannot be told from a `/dev/null` on purpose, so this checks before the
//! runtime starts. A standard output that can only be read is treated alike: writes to it fail, and the
//! standard library takes that for a success.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};

static IS_MISSING: AtomicBool = AtomicBool::new(false);

/// Called by the system before the runtime is set up.
#[used]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[expect(unsafe_code, reason = "nothing but the section; `look` needs no part of the runtime")]
static BEFORE_MAIN: extern "C" fn() = look;

extern "C" fn look() {
    let takes_output = fcntl_getfl(rustix::stdio::stdout())
        .is_ok_and(|flags| flags & (OFlags::WRONLY | OFlags::RDWR) != OFlags::RDONLY);
    IS_MISSING.store(!takes_output, Ordering::Relaxed);
}

/// Whether it was closed, or open for reading only.
pub(super) fn is_missing() -> bool {
    IS_MISSING.load(Ordering::Relaxed)
}
