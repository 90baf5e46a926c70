// gRPC Java over mutual TLS or a Unix socket: the interop cases, and a server for them.
//   Peer --side client --target HOST:PORT|unix:/PATH [--cert FILE --key FILE --ca FILE] --cases A,B --calls N --rpcs N --dials N
//   Peer --side server --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.internal.GrpcUtil;
import io.grpc.protobuf.ProtoUtils;
import grpc.testing.GrpcTesting.Empty;
import grpc.testing.GrpcTesting.SimpleRequest;
import grpc.testing.GrpcTesting.SimpleResponse;
import grpc.testing.GrpcTesting.StreamingInputCallRequest;
import grpc.testing.GrpcTesting.StreamingInputCallResponse;
import grpc.testing.GrpcTesting.StreamingOutputCallRequest;
import grpc.testing.GrpcTesting.StreamingOutputCallResponse;
import java.util.HashMap;
import java.util.Map;

final class Peer {
    static final String SERVICE = "grpc.testing.TestService";
    static final int MESSAGE_BYTES = 8 << 20; // both ways, at most

    // The methods by hand: a generator of stubs is not needed for six of them.
    static final MethodDescriptor<Empty, Empty> EMPTY =
        method(SERVICE, "EmptyCall", MethodType.UNARY, Empty.getDefaultInstance(), Empty.getDefaultInstance());
    static final MethodDescriptor<SimpleRequest, SimpleResponse> UNARY =
        method(SERVICE, "UnaryCall", MethodType.UNARY, SimpleRequest.getDefaultInstance(), SimpleResponse.getDefaultInstance());
    static final MethodDescriptor<StreamingOutputCallRequest, StreamingOutputCallResponse> OUTPUT =
        method(SERVICE, "StreamingOutputCall", MethodType.SERVER_STREAMING, StreamingOutputCallRequest.getDefaultInstance(),
            StreamingOutputCallResponse.getDefaultInstance());
    static final MethodDescriptor<StreamingInputCallRequest, StreamingInputCallResponse> INPUT =
        method(SERVICE, "StreamingInputCall", MethodType.CLIENT_STREAMING, StreamingInputCallRequest.getDefaultInstance(),
            StreamingInputCallResponse.getDefaultInstance());
    static final MethodDescriptor<StreamingOutputCallRequest, StreamingOutputCallResponse> DUPLEX =
        method(SERVICE, "FullDuplexCall", MethodType.BIDI_STREAMING, StreamingOutputCallRequest.getDefaultInstance(),
            StreamingOutputCallResponse.getDefaultInstance());

    static MethodDescriptor<Empty, Empty> unimplemented(String service) {
        return method(service, "UnimplementedCall", MethodType.UNARY, Empty.getDefaultInstance(), Empty.getDefaultInstance());
    }

    private static <Q extends Message, A extends Message> MethodDescriptor<Q, A> method(String service, String name,
            MethodType type, Q request, A answer) {
        return MethodDescriptor.<Q, A>newBuilder()
            .setType(type)
            .setFullMethodName(MethodDescriptor.generateFullMethodName(service, name))
            .setRequestMarshaller(ProtoUtils.marshaller(request))
            .setResponseMarshaller(ProtoUtils.marshaller(answer))
            .build();
    }

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i].substring(2), args[i + 1]);
        }
        System.out.println("version grpc-java " + GrpcUtil.getGrpcBuildVersion().getImplementationVersion() + " on Java "
            + System.getProperty("java.version"));
        boolean ok = options.get("side").equals("server") ? TestServer.serve(options) : new Cases(options).run();
        System.exit(ok ? 0 : 1);
    }

    private Peer() {
    }
}
