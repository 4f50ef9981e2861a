//! The `refguard` program: everything is in the library, so that tests reach it too.

/// Reading a set makes and frees millions of small pieces: a fifth less time than with the system's
/// allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> refguard::cli::Exit {
    refguard::cli::main()
}
