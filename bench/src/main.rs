//! `wharf-bench`: see `wharf-bench --help` and `docs/PERFORMANCE.md`.

fn main() -> std::process::ExitCode {
    wharf_bench::main()
}
