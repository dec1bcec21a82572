//! The executable of every function: the `bootstrap` of Lambda's custom runtime.

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Memory is wiped when it is given back: passwords and broker credentials pass through the buffers of crates that know
/// nothing of secrets.
#[global_allocator]
static WIPED: ZeroAlloc<System> = ZeroAlloc(System);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    portcullis_bootstrap::serve().await
}
