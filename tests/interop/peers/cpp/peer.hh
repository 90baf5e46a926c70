// What both C++ peers share: options, files, the version line.
#ifndef INTEROP_PEER_H
#define INTEROP_PEER_H

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>

#include <grpcpp/grpcpp.h>

// The flag of a message that came compressed (gRPC core, lib/surface/call_test_only.h and write flags).
constexpr uint32_t compressed_flag = 0x40000000u;
uint32_t grpc_call_test_only_get_message_flags(grpc_call *call);

namespace peer {

// "--name value" pairs.
inline std::map<std::string, std::string> options(int argc, char **argv)
{
    std::map<std::string, std::string> out;
    for (int i = 1; i + 1 < argc; i += 2) {
        out[std::string(argv[i]).substr(2)] = argv[i + 1];
    }
    return out;
}

inline std::string read(const std::string &path)
{
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

inline void print_version()
{
    std::cout << "version gRPC C++ " << grpc::Version() << std::endl;
}

// Whether the message received last on this call came compressed.
inline bool was_compressed(grpc_call *call)
{
    return (grpc_call_test_only_get_message_flags(call) & compressed_flag) != 0;
}

} // namespace peer

#endif
