//! The `refguard` program: everything is in the library, so that tests reach it too.

fn main() -> refguard::cli::Exit {
    refguard::cli::main()
}
