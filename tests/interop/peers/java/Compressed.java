// Which messages of a stream came compressed: the transport tells no uncompressed size of those it has yet to inflate.
import io.grpc.ClientStreamTracer;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.ServerStreamTracer;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

final class Compressed {
    static final Context.Key<Compressed> OF_CALL = Context.key("compressed");

    private final Queue<Boolean> flags = new ConcurrentLinkedQueue<>();

    // Of the message that was read first of those not yet asked for.
    boolean next() {
        return Boolean.TRUE.equals(flags.poll());
    }

    private void read(long uncompressedBytes) {
        flags.add(uncompressedBytes < 0);
    }

    ClientStreamTracer.Factory ofClient() {
        return new ClientStreamTracer.Factory() {
            @Override
            public ClientStreamTracer newClientStreamTracer(ClientStreamTracer.StreamInfo info, Metadata headers) {
                return new ClientStreamTracer() {
                    @Override
                    public void inboundMessageRead(int number, long wireBytes, long uncompressedBytes) {
                        read(uncompressedBytes);
                    }
                };
            }
        };
    }

    static ServerStreamTracer.Factory ofServer() {
        return new ServerStreamTracer.Factory() {
            @Override
            public ServerStreamTracer newServerStreamTracer(String method, Metadata headers) {
                Compressed of = new Compressed();
                return new ServerStreamTracer() {
                    @Override
                    public Context filterContext(Context context) {
                        return context.withValue(OF_CALL, of);
                    }

                    @Override
                    public void inboundMessageRead(int number, long wireBytes, long uncompressedBytes) {
                        of.read(uncompressedBytes);
                    }
                };
            }
        };
    }
}
