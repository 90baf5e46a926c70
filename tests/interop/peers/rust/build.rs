/// The version of tonic in Cargo.lock, for the servers to print.
fn tonic() -> Option<String> {
    let lock = std::fs::read_to_string("Cargo.lock").ok()?;
    let after = lock.split_once("name = \"tonic\"\nversion = \"")?.1;
    Some(after.split('"').next()?.to_string())
}

fn main() -> std::io::Result<()> {
    println!("cargo:rustc-env=HAWSER_TONIC={}", tonic().unwrap_or("unknown".into()));
    let folder = std::env::var("HAWSER_PROTOS").expect("HAWSER_PROTOS: the folder of grpc_testing.proto");
    tonic_prost_build::configure().compile_protos(&[format!("{folder}/grpc_testing.proto")], &[folder])
}
