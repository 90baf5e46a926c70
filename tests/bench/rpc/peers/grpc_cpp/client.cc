// The peer client, for what is measured end to end against gRPC's own server.
//
//     client ADDRESS CERT KEY CA SERVER_PID lat BYTES WARM_MS MS      one unary call at a time on one connection
//     client ADDRESS CERT KEY CA SERVER_PID pour CHUNK_BYTES TOTAL_BYTES
//
// Prints "name value" lines as our load client does.
#include <grpcpp/grpcpp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <vector>

#include "bench.grpc.pb.h"
#include "pem.h"

namespace {

using Clock = std::chrono::steady_clock;
using hawser::bench::Bench;
using hawser::bench::Blob;
using hawser::bench::PourRequest;

[[noreturn]] void die(const std::string &what)
{
    std::cerr << "client: " << what << "\n";
    std::exit(1);
}

double seconds(Clock::duration d)
{
    return std::chrono::duration<double>(d).count();
}

double cpu_of(pid_t pid)
{
    clockid_t clock = 0;
    timespec at{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &at) != 0) {
        die("the server's CPU clock cannot be read");
    }
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

void lat(Bench::Stub *stub, size_t bytes, double warm, double run)
{
    Blob request;
    Blob reply;
    std::vector<double> took;
    took.reserve(1u << 22);
    request.set_data(std::string(bytes, 'x'));
    Clock::time_point begin = Clock::now();
    for (Clock::time_point before = begin; seconds(before - begin) < warm + run;) {
        grpc::ClientContext context;
        context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
        grpc::Status status = stub->Echo(&context, request, &reply);
        if (!status.ok() || reply.data() != request.data()) {
            die("echo: " + status.error_message());
        }
        Clock::time_point after = Clock::now();
        if (seconds(after - begin) > warm) {
            took.push_back(seconds(after - before) * 1e6);
        }
        before = after;
    }
    std::sort(took.begin(), took.end());
    std::cout << "n " << took.size() << "\np50_us " << took[took.size() / 2] << "\np99_us "
              << took[took.size() - 1 - took.size() / 100] << "\n";
}

uint64_t pour_once(Bench::Stub *stub, uint64_t total, uint32_t chunk)
{
    grpc::ClientContext context;
    PourRequest request;
    Blob blob;
    uint64_t got = 0;
    request.set_total_bytes(total);
    request.set_chunk_bytes(chunk);
    auto reader = stub->Pour(&context, request);
    while (reader->Read(&blob)) {
        got += blob.data().size();
    }
    if (!reader->Finish().ok() || got != total) {
        die("pour: bytes are missing");
    }
    return got;
}

void pour(Bench::Stub *stub, pid_t pid, uint32_t chunk, uint64_t total)
{
    pour_once(stub, 16u << 20, chunk);
    double cpu = cpu_of(pid);
    Clock::time_point begin = Clock::now();
    double gb = static_cast<double>(pour_once(stub, total, chunk)) / 1e9;
    std::cout << "mb_s " << gb * 1000 / seconds(Clock::now() - begin) << "\ncpu_s_per_gb " << (cpu_of(pid) - cpu) / gb << "\n";
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 9) {
        std::cerr << "usage: client ADDRESS CERT KEY CA SERVER_PID lat|pour ...: see the source\n";
        return 2;
    }
    grpc::SslCredentialsOptions tls;
    tls.pem_cert_chain = read_file(argv[2]);
    tls.pem_private_key = read_file(argv[3]);
    tls.pem_root_certs = read_file(argv[4]);
    grpc::ChannelArguments args;
    args.SetMaxReceiveMessageSize(-1);
    auto channel = grpc::CreateCustomChannel(argv[1], grpc::SslCredentials(tls), args);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20))) {
        die("no connection");
    }
    auto stub = Bench::NewStub(channel);
    if (std::strcmp(argv[6], "lat") == 0 && argc == 10) {
        lat(stub.get(), std::stoul(argv[7]), std::stod(argv[8]) / 1000, std::stod(argv[9]) / 1000);
    } else if (std::strcmp(argv[6], "pour") == 0 && argc == 9) {
        pour(stub.get(), std::stoi(argv[5]), static_cast<uint32_t>(std::stoul(argv[7])), std::stoull(argv[8]));
    } else {
        die("no such measure");
    }
    return 0;
}
