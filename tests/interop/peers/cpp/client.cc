// The interop cases on gRPC C++'s client.
//   client --target HOST:PORT|unix:/PATH --cert FILE --key FILE --ca FILE --cases A,B --calls N --rpcs N --dials N
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "grpc_testing.grpc.pb.h"
#include "peer.hh"

using grpc::ClientContext;
using grpc::Status;
using grpc::StatusCode;
using namespace grpc::testing;

namespace {

std::map<std::string, std::string> args;

void check(bool condition, const std::string &what)
{
    if (!condition) {
        throw std::runtime_error(what);
    }
}

void check_code(const Status &status, StatusCode code)
{
    check(status.error_code() == code, "status " + std::to_string(status.error_code()) + ": " + status.error_message());
}

std::shared_ptr<grpc::Channel> connect()
{
    grpc::ChannelArguments how;
    how.SetMaxReceiveMessageSize(8 << 20);
    how.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1); // a channel of its own connection
    how.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    if (args["cert"].empty()) {
        return grpc::CreateCustomChannel(args["target"], grpc::InsecureChannelCredentials(), how);
    }
    grpc::SslCredentialsOptions tls{peer::read(args["ca"]), peer::read(args["key"]), peer::read(args["cert"])};
    return grpc::CreateCustomChannel(args["target"], grpc::SslCredentials(tls), how);
}

std::unique_ptr<TestService::Stub> stub;

struct Context : ClientContext {
    explicit Context(int seconds = 20) { set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds)); }
};

std::string zeros(int n) { return std::string(n, '\0'); }

SimpleRequest large()
{
    SimpleRequest in;
    in.set_response_size(314159);
    in.mutable_payload()->set_body(zeros(271828));
    return in;
}

void large_on(TestService::Stub *on)
{
    Context context;
    SimpleResponse out;
    check_code(on->UnaryCall(&context, large(), &out), StatusCode::OK);
    check(out.payload().body() == zeros(314159), "the answer's bytes");
}

const int request_sizes[] = {27182, 8, 1828, 45904};
const int response_sizes[] = {31415, 9, 2653, 58979};

void empty_unary()
{
    Context context;
    Empty out;
    check_code(stub->EmptyCall(&context, Empty(), &out), StatusCode::OK);
}

void large_unary() { large_on(stub.get()); }

void client_streaming()
{
    Context context;
    StreamingInputCallResponse out;
    auto stream = stub->StreamingInputCall(&context, &out);
    for (int n : request_sizes) {
        StreamingInputCallRequest in;
        in.mutable_payload()->set_body(zeros(n));
        check(stream->Write(in), "write");
    }
    stream->WritesDone();
    check_code(stream->Finish(), StatusCode::OK);
    check(out.aggregated_payload_size() == 74922, "the sum");
}

void server_streaming()
{
    Context context;
    StreamingOutputCallRequest in;
    for (int n : response_sizes) {
        in.add_response_parameters()->set_size(n);
    }
    auto stream = stub->StreamingOutputCall(&context, in);
    StreamingOutputCallResponse out;
    size_t i = 0;
    while (stream->Read(&out)) {
        check(i < 4 && out.payload().body() == zeros(response_sizes[i]), "answer " + std::to_string(i));
        i++;
    }
    check_code(stream->Finish(), StatusCode::OK);
    check(i == 4, "4 answers");
}

StreamingOutputCallRequest duplex(int response_size, int request_size, int interval_us = 0)
{
    StreamingOutputCallRequest in;
    auto *p = in.add_response_parameters();
    p->set_size(response_size);
    p->set_interval_us(interval_us);
    in.mutable_payload()->set_body(zeros(request_size));
    return in;
}

void ping_pong()
{
    Context context;
    auto stream = stub->FullDuplexCall(&context);
    StreamingOutputCallResponse out;
    for (int i = 0; i < 4; i++) {
        check(stream->Write(duplex(response_sizes[i], request_sizes[i])), "write");
        check(stream->Read(&out) && out.payload().body() == zeros(response_sizes[i]), "answer");
    }
    stream->WritesDone();
    check(!stream->Read(&out), "a fifth answer");
    check_code(stream->Finish(), StatusCode::OK);
}

void empty_stream()
{
    Context context;
    auto stream = stub->FullDuplexCall(&context);
    StreamingOutputCallResponse out;
    stream->WritesDone();
    check(!stream->Read(&out), "an answer");
    check_code(stream->Finish(), StatusCode::OK);
}

void timeout_on_sleeping_server()
{
    ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(1));
    auto stream = stub->FullDuplexCall(&context);
    stream->Write(duplex(31415, 27182, 1000000));
    StreamingOutputCallResponse out;
    stream->Read(&out);
    check_code(stream->Finish(), StatusCode::DEADLINE_EXCEEDED);
}

void cancel_after_begin()
{
    Context context;
    StreamingInputCallResponse out;
    auto stream = stub->StreamingInputCall(&context, &out);
    context.TryCancel();
    check_code(stream->Finish(), StatusCode::CANCELLED);
}

void cancel_after_first_response()
{
    Context context;
    auto stream = stub->FullDuplexCall(&context);
    StreamingOutputCallResponse out;
    check(stream->Write(duplex(31415, 27182)) && stream->Read(&out), "the first answer");
    context.TryCancel();
    check_code(stream->Finish(), StatusCode::CANCELLED);
}

void status_both_ways(const std::string &text)
{
    SimpleRequest in;
    in.mutable_response_status()->set_code(2);
    in.mutable_response_status()->set_message(text);
    Context unary_context;
    SimpleResponse out;
    Status status = stub->UnaryCall(&unary_context, in, &out);
    check_code(status, StatusCode::UNKNOWN);
    check(status.error_message() == text, "the unary call's message: " + status.error_message());

    Context context;
    auto stream = stub->FullDuplexCall(&context);
    StreamingOutputCallRequest request;
    *request.mutable_response_status() = in.response_status();
    stream->Write(request);
    stream->WritesDone();
    StreamingOutputCallResponse none;
    while (stream->Read(&none)) {
    }
    status = stream->Finish();
    check_code(status, StatusCode::UNKNOWN);
    check(status.error_message() == text, "the stream's message: " + status.error_message());
}

void status_code_and_message() { status_both_ways("test status message"); }

void special_status_message()
{
    status_both_ways("\t\ntest with whitespace\r\nand Unicode BMP \xe2\x98\xba and non-BMP \xf0\x9f\x98\x88\t\n");
}

void add_metadata(ClientContext *context)
{
    context->AddMetadata("x-grpc-test-echo-initial", "test_initial_metadata_value");
    context->AddMetadata("x-grpc-test-echo-trailing-bin", "\xab\xab\xab");
}

void check_metadata(const ClientContext &context)
{
    auto initial = context.GetServerInitialMetadata().find("x-grpc-test-echo-initial");
    auto trailing = context.GetServerTrailingMetadata().find("x-grpc-test-echo-trailing-bin");
    check(initial != context.GetServerInitialMetadata().end() && initial->second == "test_initial_metadata_value", "initial metadata");
    check(trailing != context.GetServerTrailingMetadata().end() && trailing->second == "\xab\xab\xab", "trailing metadata");
}

void custom_metadata()
{
    Context unary_context;
    add_metadata(&unary_context);
    SimpleResponse out;
    check_code(stub->UnaryCall(&unary_context, large(), &out), StatusCode::OK);
    check_metadata(unary_context);

    Context context;
    add_metadata(&context);
    auto stream = stub->FullDuplexCall(&context);
    stream->Write(duplex(314159, 271828));
    stream->WritesDone();
    StreamingOutputCallResponse answer;
    while (stream->Read(&answer)) {
    }
    check_code(stream->Finish(), StatusCode::OK);
    check_metadata(context);
}

void unimplemented_method()
{
    Context context;
    Empty out;
    check_code(stub->UnimplementedCall(&context, Empty(), &out), StatusCode::UNIMPLEMENTED);
}

void unimplemented_service()
{
    Context context;
    Empty out;
    check_code(UnimplementedService::NewStub(connect())->UnimplementedCall(&context, Empty(), &out), StatusCode::UNIMPLEMENTED);
}

Status compressed_unary(bool expect, bool compress)
{
    Context context;
    SimpleRequest in = large();
    SimpleResponse out;
    in.mutable_expect_compressed()->set_value(expect);
    context.set_compression_algorithm(compress ? GRPC_COMPRESS_GZIP : GRPC_COMPRESS_NONE);
    return stub->UnaryCall(&context, in, &out);
}

void client_compressed_unary()
{
    check_code(compressed_unary(true, false), StatusCode::INVALID_ARGUMENT);
    check_code(compressed_unary(true, true), StatusCode::OK);
    check_code(compressed_unary(false, false), StatusCode::OK);
}

void client_compressed_streaming()
{
    StreamingInputCallRequest first;
    first.mutable_expect_compressed()->set_value(true);
    first.mutable_payload()->set_body(zeros(27182));
    {
        Context context;
        StreamingInputCallResponse out;
        context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
        auto stream = stub->StreamingInputCall(&context, &out);
        stream->Write(first, grpc::WriteOptions().set_no_compression());
        stream->WritesDone();
        check_code(stream->Finish(), StatusCode::INVALID_ARGUMENT);
    }
    Context context;
    StreamingInputCallResponse out;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    auto stream = stub->StreamingInputCall(&context, &out);
    StreamingInputCallRequest second;
    second.mutable_expect_compressed()->set_value(false);
    second.mutable_payload()->set_body(zeros(45904));
    check(stream->Write(first) && stream->Write(second, grpc::WriteOptions().set_no_compression()), "write");
    stream->WritesDone();
    check_code(stream->Finish(), StatusCode::OK);
    check(out.aggregated_payload_size() == 73086, "the sum");
}

void server_compressed_unary()
{
    for (bool on : {true, false}) {
        Context context;
        SimpleRequest in = large();
        SimpleResponse out;
        in.mutable_response_compressed()->set_value(on);
        check_code(stub->UnaryCall(&context, in, &out), StatusCode::OK);
        check(out.payload().body() == zeros(314159), "the answer's bytes");
        check(peer::was_compressed(context.c_call()) == on, on ? "a compressed answer" : "a plain answer");
    }
}

void server_compressed_streaming()
{
    Context context;
    StreamingOutputCallRequest in;
    const int sizes[] = {31415, 92653};
    for (int i = 0; i < 2; i++) {
        auto *p = in.add_response_parameters();
        p->set_size(sizes[i]);
        p->mutable_compressed()->set_value(i == 0);
    }
    auto stream = stub->StreamingOutputCall(&context, in);
    StreamingOutputCallResponse out;
    for (int i = 0; i < 2; i++) {
        check(stream->Read(&out) && out.payload().body() == zeros(sizes[i]), "answer " + std::to_string(i));
        check(peer::was_compressed(context.c_call()) == (i == 0), "compressed, then plain");
    }
    check(!stream->Read(&out), "a third answer");
    check_code(stream->Finish(), StatusCode::OK);
}

void concurrent_large_unary()
{
    int n = std::stoi(args["calls"]);
    std::mutex lock;
    std::condition_variable changed;
    int left = n;
    int bad = 0;
    const SimpleRequest in = large();
    std::vector<SimpleResponse> out(n);
    std::vector<std::unique_ptr<Context>> contexts;
    for (int i = 0; i < n; i++) {
        contexts.push_back(std::make_unique<Context>(120));
        stub->async()->UnaryCall(contexts[i].get(), &in, &out[i], [&, i](Status status) {
            std::lock_guard<std::mutex> hold(lock);
            bad += !status.ok() || out[i].payload().body().size() != 314159;
            left--;
            changed.notify_one();
        });
    }
    std::unique_lock<std::mutex> hold(lock);
    changed.wait(hold, [&] { return left == 0; });
    check(bad == 0, std::to_string(bad) + " calls failed");
}

void iteration(TestService::Stub *on, int left)
{
    auto began = std::chrono::steady_clock::now();
    large_on(on);
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
    check(took <= 1000, "an iteration took " + std::to_string(took) + " ms, " + std::to_string(left) + " before the last");
}

void rpc_soak()
{
    for (int i = std::stoi(args["rpcs"]); i > 0; i--) {
        iteration(stub.get(), i - 1);
    }
}

void channel_soak()
{
    for (int i = std::stoi(args["dials"]); i > 0; i--) {
        iteration(TestService::NewStub(connect()).get(), i - 1);
    }
}

const std::map<std::string, std::function<void()>> cases = {
#define CASE(name) {#name, name}
    CASE(empty_unary), CASE(large_unary), CASE(client_streaming), CASE(server_streaming), CASE(ping_pong),
    CASE(empty_stream), CASE(timeout_on_sleeping_server), CASE(cancel_after_begin), CASE(cancel_after_first_response),
    CASE(status_code_and_message), CASE(special_status_message), CASE(custom_metadata), CASE(unimplemented_method),
    CASE(unimplemented_service), CASE(client_compressed_unary), CASE(client_compressed_streaming),
    CASE(server_compressed_unary), CASE(server_compressed_streaming), CASE(concurrent_large_unary), CASE(rpc_soak),
    CASE(channel_soak),
#undef CASE
};

} // namespace

int main(int argc, char **argv)
{
    args = peer::options(argc, argv);
    peer::print_version();
    stub = TestService::NewStub(connect());
    std::stringstream list(args["cases"]);
    int failed = 0;
    for (std::string name; std::getline(list, name, ',');) {
        try {
            cases.at(name)();
            std::cout << "pass " << name << std::endl;
        } catch (const std::exception &why) {
            failed++;
            std::cout << "fail " << name << ": " << why.what() << std::endl;
        }
    }
    return failed == 0 ? 0 : 1;
}
