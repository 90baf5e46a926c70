// A program in C++ that uses the library by its one header: the functions link by their C names.
#include <hawser_grpc.h>

#include <cstdio>
#include <cstring>
#include <string>

int main()
{
    hws_net net{};
    hws_err err{};
    hws_grpc_server server{};
    hws_buf buf{};
    hws_list list;

    hws_list_init(&list);
    hws_buf_init(&buf, 64);
    if (hws_net_init(&net, uv_default_loop(), &err) != HWS_OK || hws_buf_put(&buf, "word", 4) != HWS_OK) {
        std::puts(err.msg);
        return 1;
    }
    hws_grpc_server_init(&server);
    const std::string word(reinterpret_cast<const char *>(hws_buf_peek(&buf)), hws_buf_len(&buf));
    std::printf("%s %s\n", hws_grpc_code_name(HWS_GRPC_UNAVAILABLE), word.c_str());
    hws_grpc_server_deinit(&server);
    hws_buf_deinit(&buf);
    return hws_list_empty(&list) ? 0 : 1;
}
