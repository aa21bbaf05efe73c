mod capability;
mod rack;
fn main() {}
