//! The interop cases on Rust tonic, by the interop test descriptions: a client over mutual TLS or a Unix socket, and a server.
//!
//!     peer --side client --target HOST:PORT|unix:/PATH [--cert FILE --key FILE --ca FILE] --cases A,B --rpcs N --dials N --calls N
//!     peer --side server --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N
use std::collections::HashMap;

mod client;
mod server;

pub mod pb {
    tonic::include_proto!("grpc.testing");
}

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `--name value` pairs.
pub struct Options(HashMap<String, String>);

impl Options {
    pub fn get(&self, name: &str) -> Result<&str, Failure> {
        self.0.get(name).map(String::as_str).ok_or_else(|| format!("--{name} is missing").into())
    }

    pub fn number(&self, name: &str, default: u64) -> Result<u64, Failure> {
        self.0.get(name).map_or(Ok(default), |text| Ok(text.parse()?))
    }


    pub fn file(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let path = self.get(name)?;
        std::fs::read(path).map_err(|error| format!("{path}: {error}").into())
    }
}

pub fn version() {
    println!("version tonic {}", env!("HAWSER_TONIC"));
}

pub fn zeros(n: usize) -> pb::Payload {
    pb::Payload { body: vec![0; n], ..Default::default() }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut options = HashMap::new();
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name} has no value"))?;
        options.insert(name.trim_start_matches('-').to_string(), value);
    }
    let options = Options(options);
    match options.get("side")? {
        "server" => server::run(&options).await,
        _ => client::run(&options).await,
    }
}
