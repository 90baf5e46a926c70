// Reads a whole file; ends the program when it cannot.
#ifndef HWS_BENCH_PEER_PEM_H
#define HWS_BENCH_PEER_PEM_H

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

inline std::string read_file(const char *path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        std::cerr << path << " cannot be read\n";
        std::exit(1);
    }
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

#endif
