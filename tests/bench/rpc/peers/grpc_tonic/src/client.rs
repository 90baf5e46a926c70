//! The peer client, for what is measured end to end against tonic's own server.
//!
//!     client ADDRESS CERT KEY CA SERVER_PID lat BYTES WARM_MS MS      one unary call at a time on one connection
//!     client ADDRESS CERT KEY CA SERVER_PID pour CHUNK_BYTES TOTAL_BYTES
//!
//! Prints "name value" lines as our load client does.
use std::time::{Duration, Instant};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

mod pb {
    tonic::include_proto!("hawser.bench");
}
use pb::bench_client::BenchClient;

type Failure = Box<dyn std::error::Error>;

fn cpu_of(pid: libc::pid_t) -> Result<f64, Failure> {
    let mut clock: libc::clockid_t = 0;
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write to the two variables above and keep no pointer.
    let failed = unsafe { libc::clock_getcpuclockid(pid, &mut clock) != 0 || libc::clock_gettime(clock, &mut at) != 0 };
    if failed {
        return Err("the server's CPU clock cannot be read".into());
    }
    Ok(at.tv_sec as f64 + at.tv_nsec as f64 / 1e9)
}

async fn lat(client: &mut BenchClient<Channel>, bytes: usize, warm: Duration, run: Duration) -> Result<(), Failure> {
    let blob = pb::Blob { data: vec![b'x'; bytes].into() };
    let mut took: Vec<f64> = Vec::with_capacity(1 << 22);
    let begin = Instant::now();
    let mut before = begin;
    while before - begin < warm + run {
        let reply = client.echo(blob.clone()).await?.into_inner();
        if reply.data != blob.data {
            return Err("echo: other bytes".into());
        }
        let after = Instant::now();
        if after - begin > warm {
            took.push((after - before).as_secs_f64() * 1e6);
        }
        before = after;
    }
    took.sort_by(f64::total_cmp);
    println!("n {}\np50_us {}\np99_us {}", took.len(), took[took.len() / 2], took[took.len() - 1 - took.len() / 100]);
    Ok(())
}

async fn pour_once(client: &mut BenchClient<Channel>, total_bytes: u64, chunk_bytes: u32) -> Result<(), Failure> {
    let mut stream = client.pour(pb::PourRequest { total_bytes, chunk_bytes }).await?.into_inner();
    let mut got = 0;
    while let Some(blob) = stream.message().await? {
        got += blob.data.len() as u64;
    }
    if got == total_bytes { Ok(()) } else { Err("pour: bytes are missing".into()) }
}

async fn pour(client: &mut BenchClient<Channel>, pid: libc::pid_t, chunk: u32, total: u64) -> Result<(), Failure> {
    pour_once(client, 16 << 20, chunk).await?;
    let cpu = cpu_of(pid)?;
    let begin = Instant::now();
    pour_once(client, total, chunk).await?;
    let gb = total as f64 / 1e9;
    println!("mb_s {}\ncpu_s_per_gb {}", gb * 1000.0 / begin.elapsed().as_secs_f64(), (cpu_of(pid)? - cpu) / gb);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().collect();
    if args.len() < 9 {
        return Err("usage: client ADDRESS CERT KEY CA SERVER_PID lat|pour ...: see the source".into());
    }
    let tls = ClientTlsConfig::new()
        .identity(Identity::from_pem(std::fs::read(&args[2])?, std::fs::read(&args[3])?))
        .ca_certificate(Certificate::from_pem(std::fs::read(&args[4])?));
    let channel = Endpoint::from_shared(format!("https://{}", args[1]))?.tls_config(tls)?.tcp_nodelay(true).connect().await?;
    let mut client = BenchClient::new(channel).max_decoding_message_size(usize::MAX);
    let ms = |text: &str| text.parse().map(Duration::from_millis);
    match (args[6].as_str(), args.len()) {
        ("lat", 10) => lat(&mut client, args[7].parse()?, ms(&args[8])?, ms(&args[9])?).await,
        ("pour", 9) => pour(&mut client, args[5].parse()?, args[7].parse()?, args[8].parse()?).await,
        _ => Err("no such measure".into()),
    }
}
