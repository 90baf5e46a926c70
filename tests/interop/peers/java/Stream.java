// One call in straight lines: each method waits for what it names.
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;

final class Stream<Q, A> {
    Metadata initial = new Metadata();
    Metadata trailing = new Metadata();

    private final Compressed compressed = new Compressed();
    private final BlockingQueue<Optional<A>> answers = new LinkedBlockingQueue<>(); // empty: the call is over
    private final ClientCall<Q, A> call;
    private Status status;

    Stream(Channel channel, MethodDescriptor<Q, A> method, CallOptions how, Metadata headers) {
        call = channel.newCall(method, how.withStreamTracerFactory(compressed.ofClient()));
        call.start(new ClientCall.Listener<A>() {
            @Override
            public void onHeaders(Metadata metadata) {
                initial = metadata;
            }

            @Override
            public void onMessage(A answer) {
                answers.add(Optional.of(answer));
                call.request(1);
            }

            @Override
            public void onClose(Status end, Metadata metadata) {
                status = end;
                trailing = metadata;
                answers.add(Optional.empty());
            }
        }, headers);
        call.request(1);
    }

    void send(Q request, boolean compress) {
        call.setMessageCompression(compress);
        call.sendMessage(request);
    }

    void send(Q request) {
        send(request, true);
    }

    void close() {
        call.halfClose();
    }

    void cancel() {
        call.cancel("the case asks for it", null);
    }

    // The next answer, null when there is none.
    A next() throws InterruptedException {
        return status != null && answers.isEmpty() ? null : answers.take().orElse(null);
    }

    // Whether the answer that next() gave came compressed; once for each.
    boolean cameCompressed() {
        return compressed.next();
    }

    Status end() throws InterruptedException {
        while (next() != null) {
            // what comes before the end is not asked for
        }
        return status;
    }
}
