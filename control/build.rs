//! Tells cargo which embedded folders to watch: a file added to one of them is not seen otherwise.

fn main() {
    println!("cargo:rerun-if-changed=../templates");
    println!("cargo:rerun-if-changed=../migrations");
}
