//! Laws of version numbers, and what a cache may and may not do.
