//! grpc.testing.TestService.
use std::pin::Pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::{wrappers::ReceiverStream, Stream};
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::pb::test_service_server::{TestService, TestServiceServer};
use crate::{pb, version, zeros, Failure, Options};

const INITIAL: &str = "x-grpc-test-echo-initial";
const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
const MAX_MESSAGE_BYTES: usize = 8 << 20;

type Answers = Pin<Box<dyn Stream<Item = Result<pb::StreamingOutputCallResponse, Status>> + Send>>;

struct Service;

/// What the request asks to be ended with.
fn asked(status: &Option<pb::EchoStatus>) -> Result<(), Status> {
    match status {
        Some(s) if s.code != 0 => Err(Status::new(s.code.into(), s.message.clone())),
        _ => Ok(()),
    }
}

/// tonic sends trailing metadata with a status alone, also with that of success.
fn trailer(given: &MetadataMap) -> Option<Status> {
    let value = given.get_bin(TRAILING)?.clone();
    let mut status = Status::ok("");
    status.metadata_mut().insert_bin(TRAILING, value);
    Some(status)
}

fn echo_initial<T>(given: &MetadataMap, answer: &mut Response<T>) {
    if let Some(value) = given.get(INITIAL) {
        answer.metadata_mut().insert(INITIAL, value.clone());
    }
}

async fn send_all(
    parameters: Vec<pb::ResponseParameters>, to: &mpsc::Sender<Result<pb::StreamingOutputCallResponse, Status>>,
) -> Option<()> {
    for p in parameters {
        tokio::time::sleep(Duration::from_micros(p.interval_us.max(0) as u64)).await;
        to.send(Ok(pb::StreamingOutputCallResponse { payload: Some(zeros(p.size.max(0) as usize)) })).await.ok()?;
    }
    Some(())
}

#[tonic::async_trait]
impl TestService for Service {
    type StreamingOutputCallStream = Answers;
    type FullDuplexCallStream = Answers;

    async fn empty_call(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }

    async fn unary_call(&self, request: Request<pb::SimpleRequest>) -> Result<Response<pb::SimpleResponse>, Status> {
        let given = request.metadata().clone();
        let asked_for = request.into_inner();
        asked(&asked_for.response_status)?;
        let mut answer = Response::new(pb::SimpleResponse { payload: Some(zeros(asked_for.response_size.max(0) as usize)) });
        echo_initial(&given, &mut answer);
        if !asked_for.response_compressed.is_some_and(|b| b.value) {
            answer.disable_compression();
        }
        Ok(answer)
    }

    async fn streaming_output_call(
        &self, request: Request<pb::StreamingOutputCallRequest>,
    ) -> Result<Response<Answers>, Status> {
        let (to, from) = mpsc::channel(1);
        tokio::spawn(async move { send_all(request.into_inner().response_parameters, &to).await });
        let mut answer: Response<Answers> = Response::new(Box::pin(ReceiverStream::new(from)));
        answer.disable_compression();
        Ok(answer)
    }

    async fn streaming_input_call(
        &self, request: Request<Streaming<pb::StreamingInputCallRequest>>,
    ) -> Result<Response<pb::StreamingInputCallResponse>, Status> {
        let mut messages = request.into_inner();
        let mut sum = 0;
        while let Some(message) = messages.message().await? {
            sum += message.payload.map_or(0, |p| p.body.len());
        }
        Ok(Response::new(pb::StreamingInputCallResponse { aggregated_payload_size: sum as i32 }))
    }

    async fn full_duplex_call(
        &self, request: Request<Streaming<pb::StreamingOutputCallRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let (to, from) = mpsc::channel(1);
        let given = request.metadata().clone();
        let mut messages = request.into_inner();
        let last = trailer(&given);
        tokio::spawn(async move {
            while let Ok(Some(message)) = messages.message().await {
                if let Err(status) = asked(&message.response_status) {
                    return to.send(Err(status)).await.ok();
                }
                send_all(message.response_parameters, &to).await?;
            }
            to.send(Err(last?)).await.ok()
        });
        let mut answer: Response<Answers> = Response::new(Box::pin(ReceiverStream::new(from)));
        echo_initial(&given, &mut answer);
        answer.disable_compression();
        Ok(answer)
    }

    async fn unimplemented_call(&self, _: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        Err(Status::unimplemented(""))
    }
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    let mut tls = ServerTlsConfig::new().identity(Identity::from_pem(options.file("cert")?, options.file("key")?));
    if options.get("clients")? == "require" {
        tls = tls.client_ca_root(Certificate::from_pem(options.file("ca")?));
    }
    let listener = TcpListener::bind(options.get("listen")?).await?;
    version();
    println!("listening {}", listener.local_addr()?);
    let service = TestServiceServer::new(Service)
        .accept_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let life = tokio::time::sleep(Duration::from_secs(options.number("seconds", 120)?));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::select! {
        done = Server::builder().tls_config(tls)?.add_service(service).serve_with_incoming(incoming) => Ok(done?),
        () = life => Ok(()),
    }
}
