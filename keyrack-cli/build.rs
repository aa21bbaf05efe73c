//! Links what unwinds the stack into the command. Otherwise that is one shared library more
//! that every `get` loads: a tenth of what it takes (docs/decisions/first-instructions.md).

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let environment = |name: &str| std::env::var(name).unwrap_or_default();
    let is_gnu = environment("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_gnu && environment("CARGO_CFG_TARGET_OS") == "linux" {
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}
