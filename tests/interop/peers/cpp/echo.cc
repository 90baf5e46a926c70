// The library's example service on gRPC C++, either side, over mutual TLS:
//   echo --target HOST:PORT --say TEXT --cert FILE --key FILE --ca FILE          prints the answer
//   echo --listen HOST:PORT --seconds N --cert FILE --key FILE --ca FILE         prints "listening ADDRESS"
#include <chrono>
#include <thread>

#include "echo.grpc.pb.h"
#include "peer.hh"

namespace {

struct Service : example::Echo::Service {
    grpc::Status Say(grpc::ServerContext *, const example::Words *in, example::Words *out) override
    {
        *out = *in;
        return grpc::Status::OK;
    }
};

int serve(std::map<std::string, std::string> &o)
{
    grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_root_certs = peer::read(o["ca"]);
    tls.pem_key_cert_pairs.push_back({peer::read(o["key"]), peer::read(o["cert"])});
    Service service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(o["listen"], grpc::SslServerCredentials(tls), &port);
    builder.RegisterService(&service);
    auto server = builder.BuildAndStart();
    if (!server) {
        return 1;
    }
    std::cout << "listening 127.0.0.1:" << port << std::endl;
    std::this_thread::sleep_for(std::chrono::seconds(std::stoi(o["seconds"])));
    server->Shutdown();
    return 0;
}

int say(std::map<std::string, std::string> &o)
{
    grpc::SslCredentialsOptions tls{peer::read(o["ca"]), peer::read(o["key"]), peer::read(o["cert"])};
    auto stub = example::Echo::NewStub(grpc::CreateChannel(o["target"], grpc::SslCredentials(tls)));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context.set_wait_for_ready(true);
    example::Words words;
    words.set_text(o["say"]);
    const grpc::Status status = stub->Say(&context, words, &words);
    std::cout << (status.ok() ? words.text() : status.error_message()) << std::endl;
    return status.ok() ? 0 : 1;
}

} // namespace

int main(int argc, char **argv)
{
    auto options = peer::options(argc, argv);
    return options.count("listen") != 0 ? serve(options) : say(options);
}
