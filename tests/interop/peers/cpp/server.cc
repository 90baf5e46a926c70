// grpc.testing.TestService on gRPC C++, by the interop test descriptions.
//   server --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N
#include <chrono>
#include <thread>

#include "grpc_testing.grpc.pb.h"
#include "peer.hh"

using grpc::ServerContext;
using grpc::Status;
using namespace grpc::testing;

namespace {

void echo_metadata(ServerContext *context)
{
    for (const auto &[name, value] : context->client_metadata()) {
        std::string text(value.data(), value.size());
        if (name == "x-grpc-test-echo-initial") {
            context->AddInitialMetadata("x-grpc-test-echo-initial", text);
        } else if (name == "x-grpc-test-echo-trailing-bin") {
            context->AddTrailingMetadata("x-grpc-test-echo-trailing-bin", text);
        }
    }
}

bool as_expected(ServerContext *context, bool set, bool compressed)
{
    return !set || !compressed || peer::was_compressed(context->c_call());
}

const Status not_compressed(grpc::StatusCode::INVALID_ARGUMENT, "expect_compressed: the message was not");

class Service final : public TestService::Service {
    Status EmptyCall(ServerContext *context, const Empty *, Empty *) override
    {
        echo_metadata(context);
        return Status::OK;
    }

    Status UnaryCall(ServerContext *context, const SimpleRequest *in, SimpleResponse *out) override
    {
        echo_metadata(context);
        if (!as_expected(context, in->has_expect_compressed(), in->expect_compressed().value())) {
            return not_compressed;
        }
        if (in->has_response_compressed() && in->response_compressed().value()) {
            context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
        }
        if (in->has_response_status() && in->response_status().code() != 0) {
            return Status(static_cast<grpc::StatusCode>(in->response_status().code()), in->response_status().message());
        }
        out->mutable_payload()->set_body(std::string(in->response_size(), '\0'));
        return Status::OK;
    }

    // Answers one request. False when the client has gone.
    template <class Stream> bool answer(ServerContext *context, const StreamingOutputCallRequest &in, Stream *stream)
    {
        for (const auto &p : in.response_parameters()) {
            if (p.interval_us() > 0) {
                std::this_thread::sleep_for(std::chrono::microseconds(p.interval_us()));
            }
            StreamingOutputCallResponse out;
            out.mutable_payload()->set_body(std::string(p.size(), '\0'));
            grpc::WriteOptions how;
            if (!p.compressed().value()) {
                how.set_no_compression();
            }
            if (context->IsCancelled() || !stream->Write(out, how)) {
                return false;
            }
        }
        return true;
    }

    Status StreamingOutputCall(ServerContext *context, const StreamingOutputCallRequest *in,
                               grpc::ServerWriter<StreamingOutputCallResponse> *stream) override
    {
        for (const auto &p : in->response_parameters()) {
            if (p.compressed().value()) {
                context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
            }
        }
        return answer(context, *in, stream) ? Status::OK : Status::CANCELLED;
    }

    Status StreamingInputCall(ServerContext *context, grpc::ServerReader<StreamingInputCallRequest> *stream,
                              StreamingInputCallResponse *out) override
    {
        StreamingInputCallRequest in;
        int sum = 0;
        while (stream->Read(&in)) {
            if (!as_expected(context, in.has_expect_compressed(), in.expect_compressed().value())) {
                return not_compressed;
            }
            sum += static_cast<int>(in.payload().body().size());
        }
        out->set_aggregated_payload_size(sum);
        return Status::OK;
    }

    Status FullDuplexCall(ServerContext *context,
                          grpc::ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest> *stream) override
    {
        StreamingOutputCallRequest in;
        echo_metadata(context);
        while (stream->Read(&in)) {
            if (in.has_response_status() && in.response_status().code() != 0) {
                return Status(static_cast<grpc::StatusCode>(in.response_status().code()), in.response_status().message());
            }
            if (!answer(context, in, stream)) {
                return Status::CANCELLED;
            }
        }
        return Status::OK;
    }
};

} // namespace

int main(int argc, char **argv)
{
    auto o = peer::options(argc, argv);
    grpc::SslServerCredentialsOptions tls(o["clients"] == "require" ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                                                    : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    tls.pem_root_certs = peer::read(o["ca"]);
    tls.pem_key_cert_pairs.push_back({peer::read(o["key"]), peer::read(o["cert"])});
    Service service;
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(o["listen"], grpc::SslServerCredentials(tls), &port);
    builder.RegisterService(&service);
    builder.SetMaxReceiveMessageSize(8 << 20);
    auto server = builder.BuildAndStart();
    if (!server) {
        return 1;
    }
    peer::print_version();
    std::cout << "listening 127.0.0.1:" << port << std::endl;
    std::this_thread::sleep_for(std::chrono::seconds(std::stoi(o["seconds"])));
    server->Shutdown();
    return 0;
}
