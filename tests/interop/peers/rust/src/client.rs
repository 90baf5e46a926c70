//! The cases. A line each: "pass NAME" or "fail NAME: why".
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::CompressionEncoding;
use tonic::metadata::{MetadataValue, MetadataMap};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use crate::pb::test_service_client::TestServiceClient;
use crate::pb::unimplemented_service_client::UnimplementedServiceClient;
use crate::{pb, version, zeros, Failure, Options};

type Client = TestServiceClient<Channel>;

const CALL: Duration = Duration::from_secs(20);
const SOAK_CALL: Duration = Duration::from_secs(1);
const REQUEST_BYTES: [usize; 4] = [27182, 8, 1828, 45904];
const RESPONSE_BYTES: [usize; 4] = [31415, 9, 2653, 58979];
const TRAILING: &[u8] = b"\xab\xab\xab\x00\xff";

fn check(good: bool, what: impl std::fmt::Display) -> Result<(), Failure> {
    if good { Ok(()) } else { Err(what.to_string().into()) }
}

async fn connect(options: &Options) -> Result<Channel, Failure> {
    let target = options.get("target")?;
    if target.starts_with("unix:") {
        return Ok(Endpoint::from_shared(target.replacen("unix:", "unix://", 1))?.connect().await?);
    }
    let tls = ClientTlsConfig::new()
        .identity(Identity::from_pem(options.file("cert")?, options.file("key")?))
        .ca_certificate(Certificate::from_pem(options.file("ca")?));
    Ok(Endpoint::from_shared(format!("https://{target}"))?.tls_config(tls)?.tcp_nodelay(true).connect().await?)
}

fn stub(channel: &Channel) -> Client {
    TestServiceClient::new(channel.clone()).max_decoding_message_size(8 << 20)
}

fn within<T>(limit: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    request
}

fn large() -> pb::SimpleRequest {
    pb::SimpleRequest { response_size: 314159, payload: Some(zeros(271828)), ..Default::default() }
}

async fn large_unary(mut client: Client, limit: Duration) -> Result<(), Failure> {
    let answer = client.unary_call(within(limit, large())).await?.into_inner();
    check(answer.payload.is_some_and(|p| p.body == vec![0; 314159]), "the answer has other bytes")
}

fn wants(size: usize, request: usize, interval_us: i32) -> pb::StreamingOutputCallRequest {
    pb::StreamingOutputCallRequest {
        response_parameters: vec![pb::ResponseParameters { size: size as i32, interval_us, ..Default::default() }],
        payload: Some(zeros(request)),
        ..Default::default()
    }
}

async fn client_streaming(mut client: Client) -> Result<(), Failure> {
    let messages = REQUEST_BYTES.map(|n| pb::StreamingInputCallRequest { payload: Some(zeros(n)), ..Default::default() });
    let answer = client.streaming_input_call(within(CALL, tokio_stream::iter(messages))).await?.into_inner();
    check(answer.aggregated_payload_size == 74922, answer.aggregated_payload_size)
}

async fn server_streaming(mut client: Client) -> Result<(), Failure> {
    let mut request = wants(RESPONSE_BYTES[0], 0, 0);
    request.response_parameters.extend(
        RESPONSE_BYTES[1..].iter().map(|n| pb::ResponseParameters { size: *n as i32, ..Default::default() }));
    let mut answers = client.streaming_output_call(within(CALL, request)).await?.into_inner();
    for size in RESPONSE_BYTES {
        let got = answers.message().await?.and_then(|m| m.payload).map_or(0, |p| p.body.len());
        check(got == size, format!("{got} bytes where {size} are due"))?;
    }
    check(answers.message().await?.is_none(), "more answers")
}

async fn ping_pong(mut client: Client) -> Result<(), Failure> {
    let (to, from) = mpsc::channel(1);
    to.send(wants(RESPONSE_BYTES[0], REQUEST_BYTES[0], 0)).await?; // the answer's head may come with the first message
    let mut answers = client.full_duplex_call(within(CALL, ReceiverStream::new(from))).await?.into_inner();
    for i in 0..RESPONSE_BYTES.len() {
        let got = answers.message().await?.and_then(|m| m.payload).map_or(0, |p| p.body.len());
        check(got == RESPONSE_BYTES[i], format!("{got} bytes where {} are due", RESPONSE_BYTES[i]))?;
        if i + 1 < RESPONSE_BYTES.len() {
            to.send(wants(RESPONSE_BYTES[i + 1], REQUEST_BYTES[i + 1], 0)).await?;
        }
    }
    drop(to);
    check(answers.message().await?.is_none(), "more answers")
}

async fn empty_stream(mut client: Client) -> Result<(), Failure> {
    let mut answers = client.full_duplex_call(within(CALL, tokio_stream::empty())).await?.into_inner();
    check(answers.message().await?.is_none(), "answers")
}

/// The status of a duplex call of one request that stays open.
async fn duplex_status(client: &mut Client, limit: Duration, request: pb::StreamingOutputCallRequest) -> Result<Status, Failure> {
    let (to, from) = mpsc::channel(1);
    to.send(request).await?;
    let mut answers = match client.full_duplex_call(within(limit, ReceiverStream::new(from))).await {
        Err(status) => return Ok(status),
        Ok(answer) => answer.into_inner(),
    };
    loop {
        match answers.message().await {
            Err(status) => return Ok(status),
            Ok(None) => return Ok(Status::ok("")),
            Ok(Some(_)) => {}
        }
    }
}

/// tonic tells its own clock's end of a call as CANCELLED, the server's as what it is.
async fn timeout_on_sleeping_server(mut client: Client) -> Result<(), Failure> {
    let status = duplex_status(&mut client, Duration::from_millis(1), wants(31415, 27182, 1_000_000)).await?;
    let own_clock = status.code() == Code::Cancelled && status.message().contains("Timeout expired");
    check(status.code() == Code::DeadlineExceeded || own_clock, status)
}

async fn cancel_after_begin(mut client: Client) -> Result<(), Failure> {
    let (to, from) = mpsc::channel::<pb::StreamingInputCallRequest>(1);
    let call = tokio::spawn(async move { client.streaming_input_call(within(CALL, ReceiverStream::new(from))).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    call.abort(); // a future that is dropped: tonic's way to cancel, with no status
    drop(to);
    check(call.await.is_err_and(|error| error.is_cancelled()), "not cancelled")
}

async fn cancel_after_first_response(mut client: Client) -> Result<(), Failure> {
    let (to, from) = mpsc::channel(1);
    to.send(wants(31415, 27182, 0)).await?;
    let mut answers = client.full_duplex_call(within(CALL, ReceiverStream::new(from))).await?.into_inner();
    check(answers.message().await?.is_some(), "no answer")?;
    drop(answers); // with what is left of its requests: tonic's way to cancel, with no status
    drop(to);
    client.empty_call(within(CALL, pb::Empty {})).await.map(|_| ()).map_err(Failure::from)
}

async fn status_both_ways(mut client: Client, text: &str) -> Result<(), Failure> {
    let status = Some(pb::EchoStatus { code: 2, message: text.into() });
    let got = client.unary_call(within(CALL, pb::SimpleRequest { response_status: status.clone(), ..Default::default() })).await;
    check(got.as_ref().is_err_and(|s| s.code() == Code::Unknown && s.message() == text), format!("unary {got:?}"))?;
    let request = pb::StreamingOutputCallRequest { response_status: status, ..Default::default() };
    let got = duplex_status(&mut client, CALL, request).await?;
    check(got.code() == Code::Unknown && got.message() == text, format!("duplex {got:?}"))
}

fn with_metadata<T>(message: T) -> Request<T> {
    let mut request = within(CALL, message);
    request.metadata_mut().insert("x-grpc-test-echo-initial", MetadataValue::from_static("test_initial_metadata_value"));
    request.metadata_mut().insert_bin("x-grpc-test-echo-trailing-bin", MetadataValue::from_bytes(TRAILING));
    request
}

fn check_metadata(initial: &MetadataMap, trailing: &MetadataMap) -> Result<(), Failure> {
    let text = initial.get("x-grpc-test-echo-initial").and_then(|v| v.to_str().ok());
    check(text == Some("test_initial_metadata_value"), format!("initial {text:?}"))?;
    let bytes = trailing.get_bin("x-grpc-test-echo-trailing-bin").and_then(|v| v.to_bytes().ok());
    check(bytes.as_deref() == Some(TRAILING), format!("trailing {bytes:?}"))
}

async fn custom_metadata(mut client: Client) -> Result<(), Failure> {
    let answer = client.unary_call(with_metadata(pb::SimpleRequest { response_size: 10, ..Default::default() })).await?;
    check_metadata(answer.metadata(), answer.metadata())?; // a unary answer has both in one
    let (to, from) = mpsc::channel(1);
    to.send(wants(31415, 27182, 0)).await?;
    drop(to);
    let answer = client.full_duplex_call(with_metadata(ReceiverStream::new(from))).await?;
    let initial = answer.metadata().clone();
    let mut answers = answer.into_inner();
    while answers.message().await?.is_some() {}
    check_metadata(&initial, &answers.trailers().await?.unwrap_or_default())
}

async fn client_compressed_unary(client: Client) -> Result<(), Failure> {
    let request = pb::SimpleRequest { expect_compressed: Some(pb::BoolValue { value: true }), ..large() };
    let got = client.clone().unary_call(within(CALL, request.clone())).await;
    check(got.as_ref().is_err_and(|s| s.code() == Code::InvalidArgument), "the probe is not refused")?;
    client.send_compressed(CompressionEncoding::Gzip).unary_call(within(CALL, request)).await?;
    Ok(())
}

async fn concurrent(client: Client, calls: u64) -> Result<(), Failure> {
    let all: Vec<_> = (0..calls).map(|_| tokio::spawn(large_unary(client.clone(), 6 * CALL))).collect();
    for call in all {
        call.await??;
    }
    Ok(())
}

async fn case(name: &str, channel: &Channel, options: &Options) -> Result<(), Failure> {
    let mut client = stub(channel);
    match name {
        "empty_unary" => client.empty_call(within(CALL, pb::Empty {})).await.map(|_| ()).map_err(Failure::from),
        "large_unary" => large_unary(client, CALL).await,
        "client_streaming" => client_streaming(client).await,
        "server_streaming" => server_streaming(client).await,
        "ping_pong" => ping_pong(client).await,
        "empty_stream" => empty_stream(client).await,
        "timeout_on_sleeping_server" => timeout_on_sleeping_server(client).await,
        "cancel_after_begin" => cancel_after_begin(client).await,
        "cancel_after_first_response" => cancel_after_first_response(client).await,
        "status_code_and_message" => status_both_ways(client, "test status message").await,
        "special_status_message" => {
            status_both_ways(client, "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1F608}\t\n").await
        }
        "custom_metadata" => custom_metadata(client).await,
        "unimplemented_method" => {
            let got = client.unimplemented_call(within(CALL, pb::Empty {})).await;
            check(got.as_ref().is_err_and(|s| s.code() == Code::Unimplemented), format!("{got:?}"))
        }
        "unimplemented_service" => {
            let got = UnimplementedServiceClient::new(channel.clone()).unimplemented_call(within(CALL, pb::Empty {})).await;
            check(got.as_ref().is_err_and(|s| s.code() == Code::Unimplemented), format!("{got:?}"))
        }
        "client_compressed_unary" => client_compressed_unary(client).await,
        "concurrent_large_unary" => concurrent(client, options.number("calls", 50)?).await,
        "rpc_soak" => {
            for _ in 0..options.number("rpcs", 10)? {
                large_unary(client.clone(), SOAK_CALL).await?;
            }
            Ok(())
        }
        "channel_soak" => {
            for _ in 0..options.number("dials", 5)? {
                large_unary(stub(&connect(options).await?), SOAK_CALL).await?;
            }
            Ok(())
        }
        _ => Err("no such case".into()),
    }
}

pub async fn run(options: &Options) -> Result<(), Failure> {
    version();
    let channel = connect(options).await?;
    let mut failed = 0;
    for name in options.get("cases")?.split(',') {
        match case(name, &channel, options).await {
            Ok(()) => println!("pass {name}"),
            Err(why) => {
                failed += 1;
                println!("fail {name}: {}", why.to_string().replace('\n', " "));
            }
        }
    }
    if failed > 0 {
        std::process::exit(1);
    }
    Ok(())
}
