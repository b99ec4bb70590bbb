//! Keeps passwords and texts out of core files and from other programs of the same user.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Lets the process leave no core file, and no other program of its user read its memory.
///
/// # Errors
/// The I/O error of the system.
pub fn forbid() -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn no_core_file_is_left_and_no_memory_is_read() -> io::Result<()> {
        forbid()?;
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior()?, DumpableBehavior::NotDumpable);
        Ok(())
    }
}
