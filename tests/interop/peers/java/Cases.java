// The interop cases on gRPC Java's client, a line each.
import com.google.protobuf.ByteString;
import grpc.testing.GrpcTesting.BoolValue;
import grpc.testing.GrpcTesting.EchoStatus;
import grpc.testing.GrpcTesting.Empty;
import grpc.testing.GrpcTesting.Payload;
import grpc.testing.GrpcTesting.ResponseParameters;
import grpc.testing.GrpcTesting.SimpleRequest;
import grpc.testing.GrpcTesting.SimpleResponse;
import grpc.testing.GrpcTesting.StreamingInputCallRequest;
import grpc.testing.GrpcTesting.StreamingInputCallResponse;
import grpc.testing.GrpcTesting.StreamingOutputCallRequest;
import grpc.testing.GrpcTesting.StreamingOutputCallResponse;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

final class Cases {
    private interface Case {
        void run() throws Exception;
    }

    static final Metadata.Key<String> INITIAL = Metadata.Key.of("x-grpc-test-echo-initial", Metadata.ASCII_STRING_MARSHALLER);
    static final Metadata.Key<byte[]> TRAILING =
        Metadata.Key.of("x-grpc-test-echo-trailing-bin", Metadata.BINARY_BYTE_MARSHALLER);
    private static final int[] REQUESTS = {27182, 8, 1828, 45904};
    private static final int[] RESPONSES = {31415, 9, 2653, 58979};
    private static final int LARGE_IN = 271828;
    private static final int LARGE_OUT = 314159;
    private static final long ITERATION_MS = 1000;

    private final Map<String, String> options;
    private final ManagedChannel channel;
    private final Map<String, Case> cases = new LinkedHashMap<>();

    Cases(Map<String, String> options) throws IOException {
        this.options = options;
        channel = connect();
        cases.put("empty_unary", () -> is(unary(Empty.getDefaultInstance()), Status.Code.OK));
        cases.put("large_unary", () -> largeOn(channel));
        cases.put("client_streaming", this::clientStreaming);
        cases.put("server_streaming", this::serverStreaming);
        cases.put("ping_pong", this::pingPong);
        cases.put("empty_stream", this::emptyStream);
        cases.put("timeout_on_sleeping_server", this::timeoutOnSleepingServer);
        cases.put("cancel_after_begin", this::cancelAfterBegin);
        cases.put("cancel_after_first_response", this::cancelAfterFirstResponse);
        cases.put("status_code_and_message", () -> statusBothWays("test status message"));
        cases.put("special_status_message",
            () -> statusBothWays("\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \ud83d\ude08\t\n"));
        cases.put("custom_metadata", this::customMetadata);
        cases.put("unimplemented_method", () -> unimplemented(Peer.SERVICE));
        cases.put("unimplemented_service", () -> unimplemented("grpc.testing.UnimplementedService"));
        cases.put("client_compressed_unary", this::clientCompressedUnary);
        cases.put("client_compressed_streaming", this::clientCompressedStreaming);
        cases.put("server_compressed_unary", this::serverCompressedUnary);
        cases.put("server_compressed_streaming", this::serverCompressedStreaming);
        cases.put("concurrent_large_unary", this::concurrentLargeUnary);
        cases.put("rpc_soak", this::rpcSoak);
        cases.put("channel_soak", this::channelSoak);
    }

    boolean run() {
        boolean ok = true;
        for (String name : options.get("cases").split(",")) {
            try {
                cases.get(name).run();
                System.out.println("pass " + name);
            } catch (Exception | AssertionError why) {
                ok = false;
                System.out.println("fail " + name + ": " + String.valueOf(why.getMessage()).split("\n")[0]);
            }
        }
        channel.shutdownNow();
        return ok;
    }

    private ManagedChannel connect() throws IOException {
        ChannelCredentials how = InsecureChannelCredentials.create();
        if (options.containsKey("cert")) {
            how = TlsChannelCredentials.newBuilder()
                .keyManager(new File(options.get("cert")), new File(options.get("key")))
                .trustManager(new File(options.get("ca")))
                .build();
        }
        String target = options.get("target");
        ManagedChannelBuilder<?> builder = Grpc.newChannelBuilder(target, how).disableRetry().maxInboundMessageSize(Peer.MESSAGE_BYTES);
        if (target.startsWith("unix:")) {
            builder.overrideAuthority("localhost"); // it would send the socket's path, which is no authority (RFC 3986)
        }
        return builder.build();
    }

    // ---- what the cases are made of ----

    private static CallOptions soon(int seconds) {
        return CallOptions.DEFAULT.withDeadlineAfter(seconds, TimeUnit.SECONDS);
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }

    private static void is(Stream<?, ?> stream, Status.Code code) throws InterruptedException {
        Status end = stream.end();
        check(end.getCode() == code, "status " + end);
    }

    private static Payload zeros(int n) {
        return Payload.newBuilder().setBody(ByteString.copyFrom(new byte[n])).build();
    }

    private static BoolValue bool(boolean value) {
        return BoolValue.newBuilder().setValue(value).build();
    }

    private static SimpleRequest.Builder large() {
        return SimpleRequest.newBuilder().setResponseSize(LARGE_OUT).setPayload(zeros(LARGE_IN));
    }

    private static StreamingOutputCallRequest duplex(int size, int requestSize, int intervalUs) {
        return StreamingOutputCallRequest.newBuilder()
            .addResponseParameters(ResponseParameters.newBuilder().setSize(size).setIntervalUs(intervalUs))
            .setPayload(zeros(requestSize))
            .build();
    }

    private Stream<Empty, Empty> unary(Empty request) {
        Stream<Empty, Empty> stream = new Stream<>(channel, Peer.EMPTY, soon(20), new Metadata());
        stream.send(request);
        stream.close();
        return stream;
    }

    private static Stream<SimpleRequest, SimpleResponse> unary(Channel on, SimpleRequest request, CallOptions how, Metadata headers) {
        Stream<SimpleRequest, SimpleResponse> stream = new Stream<>(on, Peer.UNARY, how, headers);
        stream.send(request);
        stream.close();
        return stream;
    }

    private Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> duplexCall(CallOptions how, Metadata headers) {
        return new Stream<>(channel, Peer.DUPLEX, how, headers);
    }

    // The answer of a large unary call: its bytes, then its status.
    private static void largeAnswer(Stream<SimpleRequest, SimpleResponse> stream) throws InterruptedException {
        SimpleResponse answer = stream.next();
        is(stream, Status.Code.OK);
        check(answer != null && answer.getPayload().getBody().size() == LARGE_OUT, "the answer's bytes");
    }

    private static void largeOn(Channel on) throws InterruptedException {
        largeAnswer(unary(on, large().build(), soon(20), new Metadata()));
    }

    private static void expectBytes(Stream<?, StreamingOutputCallResponse> stream, int n) throws InterruptedException {
        StreamingOutputCallResponse answer = stream.next();
        check(answer != null && answer.getPayload().getBody().size() == n, "an answer of " + n + " bytes");
    }

    // ---- the core ----

    private void clientStreaming() throws InterruptedException {
        Stream<StreamingInputCallRequest, StreamingInputCallResponse> stream =
            new Stream<>(channel, Peer.INPUT, soon(20), new Metadata());
        for (int n : REQUESTS) {
            stream.send(StreamingInputCallRequest.newBuilder().setPayload(zeros(n)).build());
        }
        stream.close();
        StreamingInputCallResponse answer = stream.next();
        is(stream, Status.Code.OK);
        check(answer != null && answer.getAggregatedPayloadSize() == 74922, "the sum");
    }

    private void serverStreaming() throws InterruptedException {
        StreamingOutputCallRequest.Builder request = StreamingOutputCallRequest.newBuilder();
        for (int n : RESPONSES) {
            request.addResponseParameters(ResponseParameters.newBuilder().setSize(n));
        }
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream =
            new Stream<>(channel, Peer.OUTPUT, soon(20), new Metadata());
        stream.send(request.build());
        stream.close();
        for (int n : RESPONSES) {
            expectBytes(stream, n);
        }
        check(stream.next() == null, "a fifth answer");
        is(stream, Status.Code.OK);
    }

    private void pingPong() throws InterruptedException {
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream = duplexCall(soon(20), new Metadata());
        for (int i = 0; i < REQUESTS.length; i++) {
            stream.send(duplex(RESPONSES[i], REQUESTS[i], 0));
            expectBytes(stream, RESPONSES[i]);
        }
        stream.close();
        check(stream.next() == null, "a fifth answer");
        is(stream, Status.Code.OK);
    }

    private void emptyStream() throws InterruptedException {
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream = duplexCall(soon(20), new Metadata());
        stream.close();
        check(stream.next() == null, "an answer");
        is(stream, Status.Code.OK);
    }

    private void timeoutOnSleepingServer() throws InterruptedException {
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream =
            duplexCall(CallOptions.DEFAULT.withDeadlineAfter(1, TimeUnit.MILLISECONDS), new Metadata());
        stream.send(duplex(31415, 27182, 1000000));
        is(stream, Status.Code.DEADLINE_EXCEEDED);
    }

    private void cancelAfterBegin() throws InterruptedException {
        Stream<StreamingInputCallRequest, StreamingInputCallResponse> stream =
            new Stream<>(channel, Peer.INPUT, soon(20), new Metadata());
        stream.cancel();
        is(stream, Status.Code.CANCELLED);
    }

    private void cancelAfterFirstResponse() throws InterruptedException {
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream = duplexCall(soon(20), new Metadata());
        stream.send(duplex(31415, 27182, 0));
        expectBytes(stream, 31415);
        stream.cancel();
        is(stream, Status.Code.CANCELLED);
    }

    private void statusBothWays(String text) throws InterruptedException {
        EchoStatus wanted = EchoStatus.newBuilder().setCode(2).setMessage(text).build();
        Stream<SimpleRequest, SimpleResponse> one =
            unary(channel, SimpleRequest.newBuilder().setResponseStatus(wanted).build(), soon(20), new Metadata());
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream = duplexCall(soon(20), new Metadata());
        stream.send(StreamingOutputCallRequest.newBuilder().setResponseStatus(wanted).build());
        stream.close();
        for (Stream<?, ?> each : List.of(one, stream)) {
            is(each, Status.Code.UNKNOWN);
            check(text.equals(each.end().getDescription()), "the message: " + each.end().getDescription());
        }
    }

    private void customMetadata() throws InterruptedException {
        byte[] bytes = {(byte) 0xab, (byte) 0xab, (byte) 0xab};
        Metadata headers = new Metadata();
        headers.put(INITIAL, "test_initial_metadata_value");
        headers.put(TRAILING, bytes);
        Metadata again = new Metadata();
        again.merge(headers);
        Stream<SimpleRequest, SimpleResponse> one = unary(channel, large().build(), soon(20), headers);
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream = duplexCall(soon(20), again);
        stream.send(duplex(LARGE_OUT, LARGE_IN, 0));
        stream.close();
        for (Stream<?, ?> each : List.of(one, stream)) {
            is(each, Status.Code.OK);
            check("test_initial_metadata_value".equals(each.initial.get(INITIAL)), "initial metadata");
            check(Arrays.equals(bytes, each.trailing.get(TRAILING)), "trailing metadata");
        }
    }

    private void unimplemented(String service) throws InterruptedException {
        Stream<Empty, Empty> stream = new Stream<>(channel, Peer.unimplemented(service), soon(20), new Metadata());
        stream.send(Empty.getDefaultInstance());
        stream.close();
        is(stream, Status.Code.UNIMPLEMENTED);
    }

    // ---- compression ----

    private Stream<SimpleRequest, SimpleResponse> expecting(boolean compressed, CallOptions how) {
        return unary(channel, large().setExpectCompressed(bool(compressed)).build(), how, new Metadata());
    }

    private void clientCompressedUnary() throws InterruptedException {
        is(expecting(true, soon(20)), Status.Code.INVALID_ARGUMENT);
        largeAnswer(expecting(true, soon(20).withCompression("gzip")));
        largeAnswer(expecting(false, soon(20)));
    }

    private static StreamingInputCallRequest input(int n, boolean compressed) {
        return StreamingInputCallRequest.newBuilder().setPayload(zeros(n)).setExpectCompressed(bool(compressed)).build();
    }

    private void clientCompressedStreaming() throws InterruptedException {
        Stream<StreamingInputCallRequest, StreamingInputCallResponse> probe =
            new Stream<>(channel, Peer.INPUT, soon(20).withCompression("gzip"), new Metadata());
        probe.send(input(27182, true), false);
        probe.close();
        is(probe, Status.Code.INVALID_ARGUMENT);
        Stream<StreamingInputCallRequest, StreamingInputCallResponse> stream =
            new Stream<>(channel, Peer.INPUT, soon(20).withCompression("gzip"), new Metadata());
        stream.send(input(27182, true), true);
        stream.send(input(45904, false), false);
        stream.close();
        StreamingInputCallResponse answer = stream.next();
        is(stream, Status.Code.OK);
        check(answer != null && answer.getAggregatedPayloadSize() == 73086, "the sum");
    }

    private void serverCompressedUnary() throws InterruptedException {
        for (boolean on : new boolean[] {true, false}) {
            Stream<SimpleRequest, SimpleResponse> stream =
                unary(channel, large().setResponseCompressed(bool(on)).build(), soon(20), new Metadata());
            largeAnswer(stream);
            check(stream.cameCompressed() == on, on ? "a compressed answer" : "a plain answer");
        }
    }

    private void serverCompressedStreaming() throws InterruptedException {
        int[] sizes = {31415, 92653};
        StreamingOutputCallRequest.Builder request = StreamingOutputCallRequest.newBuilder();
        for (int i = 0; i < sizes.length; i++) {
            request.addResponseParameters(ResponseParameters.newBuilder().setSize(sizes[i]).setCompressed(bool(i == 0)));
        }
        Stream<StreamingOutputCallRequest, StreamingOutputCallResponse> stream =
            new Stream<>(channel, Peer.OUTPUT, soon(20), new Metadata());
        stream.send(request.build());
        stream.close();
        for (int i = 0; i < sizes.length; i++) {
            expectBytes(stream, sizes[i]);
            check(stream.cameCompressed() == (i == 0), "compressed, then plain");
        }
        check(stream.next() == null, "a third answer");
        is(stream, Status.Code.OK);
    }

    // ---- load ----

    private void concurrentLargeUnary() throws InterruptedException {
        SimpleRequest request = large().build();
        List<Stream<SimpleRequest, SimpleResponse>> all = new ArrayList<>();
        for (int i = Integer.parseInt(options.get("calls")); i > 0; i--) {
            all.add(unary(channel, request, soon(120), new Metadata()));
        }
        for (Stream<SimpleRequest, SimpleResponse> each : all) {
            largeAnswer(each);
        }
    }

    private static void iteration(Channel on) throws InterruptedException {
        long began = System.nanoTime();
        largeOn(on);
        long tookMs = (System.nanoTime() - began) / 1000000;
        check(tookMs <= ITERATION_MS, "an iteration of " + tookMs + " ms");
    }

    private void rpcSoak() throws InterruptedException {
        for (int i = Integer.parseInt(options.get("rpcs")); i > 0; i--) {
            iteration(channel);
        }
    }

    private void channelSoak() throws Exception {
        for (int i = Integer.parseInt(options.get("dials")); i > 0; i--) {
            ManagedChannel on = connect();
            try {
                iteration(on);
            } finally {
                on.shutdownNow();
            }
        }
    }
}
