//! The corpus of the fuzz target that plays a client of the mock; those of the adapter's targets run
//! next to its decisions.

use std::fs;
use std::path::Path;

#[expect(unreachable_pub, reason = "public in the crate of the fuzz target")]
#[path = "../../fuzz/src/connect.rs"]
mod connect;

#[test]
fn the_corpus_of_connects_holds() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/connect");
    let mut files = 0;
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        connect::connect(&fs::read(path).unwrap());
        files += 1;
    }
    assert!(files >= 10, "only {files} files");
}
