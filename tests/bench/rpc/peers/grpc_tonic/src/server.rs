//! The peer server in Rust, on tonic, with as many threads as its runtime likes: its cost is CPU time, whatever the threads.
//!
//!     server CERT KEY CA [ADDRESS]
//!
//! Prints "config NAME VALUE" and "listening ADDRESS"; serves until SIGTERM.
use std::pin::Pin;

use prost::bytes::Bytes;
use tokio::net::TcpListener;
use tokio::signal::unix::{signal, SignalKind};
use tokio_stream::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

mod pb {
    tonic::include_proto!("hawser.bench");
}
use pb::bench_server::{Bench, BenchServer};

struct Peer;

/// What is still to be poured. The chunks share their bytes.
struct Pour {
    left: u64,
    chunk: Bytes,
}

impl Stream for Pour {
    type Item = Result<pb::Blob, Status>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        let n = self.left.min(self.chunk.len() as u64);
        self.left -= n;
        std::task::Poll::Ready(Some(Ok(pb::Blob { data: self.chunk.slice(..n as usize) })))
    }
}

#[tonic::async_trait]
impl Bench for Peer {
    type PourStream = Pour;

    async fn echo(&self, request: Request<pb::Blob>) -> Result<Response<pb::Blob>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn pour(&self, request: Request<pb::PourRequest>) -> Result<Response<Pour>, Status> {
        let asked = request.into_inner();
        if asked.chunk_bytes == 0 {
            return Err(Status::invalid_argument("chunk_bytes is 0"));
        }
        Ok(Response::new(Pour { left: asked.total_bytes, chunk: vec![0; asked.chunk_bytes as usize].into() }))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if args.len() < 4 {
        return Err("usage: server CERT KEY CA [ADDRESS]".into());
    }
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(std::fs::read(&args[1])?, std::fs::read(&args[2])?))
        .client_ca_root(Certificate::from_pem(std::fs::read(&args[3])?));
    let listener = TcpListener::bind(args.get(4).map_or("127.0.0.1:0", String::as_str)).await?;
    let mut term = signal(SignalKind::terminate())?;
    println!("config tonic {}\nlistening {}", env!("HAWSER_TONIC"), listener.local_addr()?);
    let serve = Server::builder()
        .tls_config(tls)?
        .add_service(BenchServer::new(Peer))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        done = serve => Ok(done?),
        _ = term.recv() => Ok(()),
    }
}
