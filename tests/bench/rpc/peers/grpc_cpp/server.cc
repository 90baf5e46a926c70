// The peer server: gRPC C++ in its fastest form, the asynchronous interface with one completion queue and one thread.
//
//     server CERT KEY CA [ADDRESS]
//
// Prints "config NAME VALUE" and "listening ADDRESS"; serves until SIGTERM.
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <memory>
#include <thread>

#include "bench.grpc.pb.h"
#include "pem.h"

namespace {

using hawser::bench::Bench;
using hawser::bench::Blob;
using hawser::bench::PourRequest;

constexpr int kEchoesWaiting = 256; // requests that may be matched at once without a new registration
constexpr int kPoursWaiting = 16;

// One call: the queue gives it back each time an operation of it has ended.
class Call {
public:
    virtual ~Call() = default;
    virtual void ended(bool ok) = 0;
};

class Echo final : public Call {
public:
    Echo(Bench::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), responder_(&context_)
    {
        service_->RequestEcho(&context_, &blob_, &responder_, queue_, queue_, this);
    }

    void ended(bool ok) override
    {
        if (!ok || answered_) {
            delete this;
            return;
        }
        new Echo(service_, queue_); // takes our place
        answered_ = true;
        responder_.Finish(blob_, grpc::Status::OK, this); // the message received is the message sent: no copy
    }

private:
    Bench::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    Blob blob_;
    grpc::ServerAsyncResponseWriter<Blob> responder_;
    bool answered_ = false;
};

class Pour final : public Call {
public:
    Pour(Bench::AsyncService *service, grpc::ServerCompletionQueue *queue)
        : service_(service), queue_(queue), writer_(&context_)
    {
        service_->RequestPour(&context_, &request_, &writer_, queue_, queue_, this);
    }

    void ended(bool ok) override
    {
        if (!ok || finished_) {
            delete this;
            return;
        }
        if (!begun_) {
            new Pour(service_, queue_);
            begun_ = true;
            left_ = request_.total_bytes();
            blob_.mutable_data()->assign(request_.chunk_bytes(), '\0');
        }
        if (left_ == 0) {
            finished_ = true;
            writer_.Finish(grpc::Status::OK, this);
            return;
        }
        if (left_ < blob_.data().size()) {
            blob_.mutable_data()->resize(left_);
        }
        left_ -= blob_.data().size();
        writer_.Write(blob_, this);
    }

private:
    Bench::AsyncService *service_;
    grpc::ServerCompletionQueue *queue_;
    grpc::ServerContext context_;
    PourRequest request_;
    Blob blob_;
    grpc::ServerAsyncWriter<Blob> writer_;
    uint64_t left_ = 0;
    bool begun_ = false;
    bool finished_ = false;
};

} // namespace

int main(int argc, char **argv)
{
    if (argc < 4) {
        std::cerr << "usage: server CERT KEY CA [ADDRESS]\n";
        return 2;
    }
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &term, nullptr); // inherited by every thread of the library

    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_key_cert_pairs.push_back({read_file(argv[2]), read_file(argv[1])});
    tls.pem_root_certs = read_file(argv[3]);
    int port = 0;
    std::string address = argc > 4 ? argv[4] : "127.0.0.1:0";
    Bench::AsyncService service;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::SslServerCredentials(tls), &port);
    builder.RegisterService(&service);
    std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server || port == 0) {
        std::cerr << "cannot listen on " << address << "\n";
        return 1;
    }
    std::thread worker([&] {
        for (int i = 0; i < kEchoesWaiting; i++) {
            new Echo(&service, queue.get());
        }
        for (int i = 0; i < kPoursWaiting; i++) {
            new Pour(&service, queue.get());
        }
        void *tag = nullptr;
        bool ok = false;
        while (queue->Next(&tag, &ok)) {
            static_cast<Call *>(tag)->ended(ok);
        }
    });
    std::cout << "config grpc_version " << grpc::Version() << "\nconfig completion_queues 1\nconfig threads 1\n"
              << "listening 127.0.0.1:" << port << std::endl;
    int number = 0;
    sigwait(&term, &number);
    server->Shutdown(std::chrono::system_clock::now());
    queue->Shutdown();
    worker.join();
    return 0;
}
