//! Links what unwinds the stack into the daemon. Otherwise that is one shared library more,
//! of which each daemon has pages of its own (docs/decisions/first-instructions.md).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let environment = |name: &str| std::env::var(name).unwrap_or_default();
    let is_gnu = environment("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_gnu && environment("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
