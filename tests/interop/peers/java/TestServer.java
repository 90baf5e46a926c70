// grpc.testing.TestService on gRPC Java, by the interop test descriptions.
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
import io.grpc.ForwardingServerCall.SimpleForwardingServerCall;
import io.grpc.Grpc;
import io.grpc.Metadata;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerInterceptor;
import io.grpc.ServerInterceptors;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsServerCredentials;
import io.grpc.TlsServerCredentials.ClientAuth;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.File;
import java.util.Map;
import java.util.concurrent.TimeUnit;

final class TestServer {
    static boolean serve(Map<String, String> options) throws Exception {
        String listen = options.get("listen");
        TlsServerCredentials.Builder how =
            TlsServerCredentials.newBuilder().keyManager(new File(options.get("cert")), new File(options.get("key")));
        if (options.get("clients").equals("require")) {
            how.trustManager(new File(options.get("ca"))).clientAuth(ClientAuth.REQUIRE);
        }
        Server server = Grpc.newServerBuilderForPort(Integer.parseInt(listen.substring(listen.lastIndexOf(':') + 1)), how.build())
            .addService(ServerInterceptors.intercept(service(), new EchoMetadata()))
            .addStreamTracerFactory(Compressed.ofServer())
            .maxInboundMessageSize(Peer.MESSAGE_BYTES)
            .build()
            .start();
        System.out.println("listening 127.0.0.1:" + server.getPort());
        server.awaitTermination(Long.parseLong(options.get("seconds")), TimeUnit.SECONDS);
        server.shutdownNow();
        return true;
    }

    // Sends back the two fields of metadata that custom_metadata sends.
    private static final class EchoMetadata implements ServerInterceptor {
        @Override
        public <Q, A> ServerCall.Listener<Q> interceptCall(ServerCall<Q, A> call, Metadata asked, ServerCallHandler<Q, A> next) {
            return next.startCall(new SimpleForwardingServerCall<Q, A>(call) {
                @Override
                public void sendHeaders(Metadata headers) {
                    echo(Cases.INITIAL, asked, headers);
                    super.sendHeaders(headers);
                }

                @Override
                public void close(Status status, Metadata trailers) {
                    echo(Cases.TRAILING, asked, trailers);
                    super.close(status, trailers);
                }
            }, asked);
        }

        private static <T> void echo(Metadata.Key<T> key, Metadata from, Metadata to) {
            T value = from.get(key);
            if (value != null) {
                to.put(key, value);
            }
        }
    }

    private static ServerServiceDefinition service() {
        return ServerServiceDefinition.builder(Peer.SERVICE)
            .addMethod(Peer.EMPTY, ServerCalls.asyncUnaryCall((in, out) -> {
                out.onNext(Empty.getDefaultInstance());
                out.onCompleted();
            }))
            .addMethod(Peer.UNARY, ServerCalls.asyncUnaryCall(TestServer::unary))
            .addMethod(Peer.OUTPUT, ServerCalls.asyncServerStreamingCall((in, out) -> {
                answer(in, withCompression(out));
                out.onCompleted();
            }))
            .addMethod(Peer.INPUT, ServerCalls.asyncClientStreamingCall(Sum::new))
            .addMethod(Peer.DUPLEX, ServerCalls.asyncBidiStreamingCall(Duplex::new))
            .build();
    }

    private static Payload zeros(int n) {
        return Payload.newBuilder().setBody(ByteString.copyFrom(new byte[n])).build();
    }

    private static StatusRuntimeException failure(EchoStatus wanted) {
        return Status.fromCodeValue(wanted.getCode()).withDescription(wanted.getMessage()).asRuntimeException();
    }

    // False when the message should have come compressed, and did not.
    private static boolean asExpected(boolean set, BoolValue expected) {
        boolean compressed = Compressed.OF_CALL.get().next();
        return !set || !expected.getValue() || compressed;
    }

    private static StatusRuntimeException notCompressed() {
        return Status.INVALID_ARGUMENT.withDescription("expect_compressed: the message was not").asRuntimeException();
    }

    // Each answer then says for itself whether it is compressed.
    private static <A> ServerCallStreamObserver<A> withCompression(StreamObserver<A> out) {
        ServerCallStreamObserver<A> observer = (ServerCallStreamObserver<A>) out;
        observer.setCompression("gzip");
        observer.setOnCancelHandler(() -> { }); // an answer to a call that is over is dropped
        return observer;
    }

    private static void unary(SimpleRequest in, StreamObserver<SimpleResponse> out) {
        ServerCallStreamObserver<SimpleResponse> observer = withCompression(out);
        if (!asExpected(in.hasExpectCompressed(), in.getExpectCompressed())) {
            out.onError(notCompressed());
            return;
        }
        if (in.getResponseStatus().getCode() != 0) {
            out.onError(failure(in.getResponseStatus()));
            return;
        }
        observer.setMessageCompression(in.getResponseCompressed().getValue());
        out.onNext(SimpleResponse.newBuilder().setPayload(zeros(in.getResponseSize())).build());
        out.onCompleted();
    }

    private static void answer(StreamingOutputCallRequest in, ServerCallStreamObserver<StreamingOutputCallResponse> out) {
        for (ResponseParameters p : in.getResponseParametersList()) {
            try {
                TimeUnit.MICROSECONDS.sleep(p.getIntervalUs());
            } catch (InterruptedException stopped) {
                return;
            }
            if (out.isCancelled()) {
                return;
            }
            out.setMessageCompression(p.getCompressed().getValue());
            out.onNext(StreamingOutputCallResponse.newBuilder().setPayload(zeros(p.getSize())).build());
        }
    }

    private static final class Sum implements StreamObserver<StreamingInputCallRequest> {
        private final StreamObserver<StreamingInputCallResponse> out;
        private int sum;
        private boolean over;

        Sum(StreamObserver<StreamingInputCallResponse> out) {
            this.out = out;
        }

        @Override
        public void onNext(StreamingInputCallRequest in) {
            if (!over && !asExpected(in.hasExpectCompressed(), in.getExpectCompressed())) {
                over = true;
                out.onError(notCompressed());
            }
            sum += in.getPayload().getBody().size();
        }

        @Override
        public void onError(Throwable why) {
            over = true;
        }

        @Override
        public void onCompleted() {
            if (!over) {
                out.onNext(StreamingInputCallResponse.newBuilder().setAggregatedPayloadSize(sum).build());
                out.onCompleted();
            }
        }
    }

    private static final class Duplex implements StreamObserver<StreamingOutputCallRequest> {
        private final ServerCallStreamObserver<StreamingOutputCallResponse> out;
        private boolean over;

        Duplex(StreamObserver<StreamingOutputCallResponse> out) {
            this.out = withCompression(out);
        }

        @Override
        public void onNext(StreamingOutputCallRequest in) {
            if (over) {
                return;
            }
            if (in.getResponseStatus().getCode() != 0) {
                over = true;
                out.onError(failure(in.getResponseStatus()));
                return;
            }
            answer(in, out);
        }

        @Override
        public void onError(Throwable why) {
            over = true;
        }

        @Override
        public void onCompleted() {
            if (!over) {
                out.onCompleted();
            }
        }
    }

    private TestServer() {
    }
}
