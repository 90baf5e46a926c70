/* Addresses as text, both ways. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/str.h"
#include "net/address_priv.h"

enum hws_code hws_net__address_split(const char *text, char *host, size_t host_cap, char *port,
                                     size_t port_cap, struct hws_err *err)
{
    const char *colon = strrchr(text, ':');
    const char *first = text;
    uint64_t number = 0;

    if (colon == NULL || colon == text) {
        return hws_err_set(err, HWS_E_INVALID, "\"%.100s\" is not host:port", text);
    }
    size_t n = (size_t)(colon - text);
    if (text[0] == '[') {
        if (n < 3 || text[n - 1] != ']') {
            return hws_err_set(err, HWS_E_INVALID, "\"%.100s\" is not [address]:port", text);
        }
        first = text + 1;
        n -= 2;
    } else if (memchr(text, ':', n) != NULL) {
        return hws_err_set(err, HWS_E_INVALID,
                           "\"%.100s\" is not host:port (of IPv6 [address]:port)", text);
    }
    if (!hws_str_copy_n(host, host_cap, first, n) || !hws_str_copy(port, port_cap, colon + 1) ||
        hws_str_to_u64(colon + 1, 65535, &number, NULL) != HWS_OK) {
        return hws_err_set(err, HWS_E_INVALID,
                           "\"%.100s\" is not host:port with a port of 0 to 65535", text);
    }
    return HWS_OK;
}

enum hws_code hws_net__address_parse(const char *text, struct sockaddr_storage *out,
                                     struct hws_err *err)
{
    char host[HWS_NET_HOST_BYTES];
    char port[8];
    uint64_t number = 0;

    enum hws_code rc = hws_net__address_split(text, host, sizeof(host), port, sizeof(port), err);
    if (rc != HWS_OK) {
        return rc;
    }
    rc = hws_str_to_u64(port, 65535, &number, err);
    if (rc != HWS_OK) {
        return rc;
    }
    memset(out, 0, sizeof(*out));
    if (uv_ip4_addr(host, (int)number, (struct sockaddr_in *)(void *)out) == 0 ||
        uv_ip6_addr(host, (int)number, (struct sockaddr_in6 *)(void *)out) == 0) {
        return HWS_OK;
    }
    return hws_err_set(err, HWS_E_INVALID,
                       "\"%.100s\" is not a numeric address: 127.0.0.1:0, [::]:443", text);
}

const char *hws_net__unix_path(const char *text, struct hws_err *err)
{
    const char *path = text + sizeof("unix:") - 1;
    size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;

    if (strlen(path) > most) {
        (void)hws_err_set(err, HWS_E_INVALID,
                          "%.64s...: a Unix socket's path has at most %zu bytes, this has %zu",
                          text, most, strlen(path));
        return NULL;
    }
    return path;
}

static void print_address(const struct sockaddr_storage *addr, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)addr;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        (void)hws_str_print(out, cap, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)addr;
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        (void)hws_str_print(out, cap, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    } else {
        (void)hws_str_copy(out, cap, "unknown");
    }
}

void hws_net__address_key(const struct sockaddr_storage *addr, char key[HWS_NET_PEER_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "unknown";

    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)addr;
        (void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
    } else if (addr->ss_family == AF_INET6) {
        struct in6_addr v6 = ((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&v6)) {
            (void)inet_ntop(AF_INET, v6.s6_addr + 12, host, sizeof(host));
        } else {
            memset(v6.s6_addr + 8, 0, 8);
            (void)inet_ntop(AF_INET6, &v6, host, sizeof(host));
        }
    }
    (void)hws_str_copy(key, HWS_NET_PEER_BYTES, host);
}

void hws_net__peer_address(const uv_tcp_t *tcp, bool is_tcp, char key[HWS_NET_PEER_BYTES],
                           char *out, size_t cap)
{
    struct sockaddr_storage addr;
    int n = sizeof(addr);

    memset(&addr, 0, sizeof(addr));
    if (!is_tcp) {
        (void)hws_str_copy(key, HWS_NET_PEER_BYTES, "unix");
        (void)hws_str_copy(out, cap, "unix");
        return;
    }
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&addr, &n) != 0) {
        addr.ss_family = AF_UNSPEC;
    }
    hws_net__address_key(&addr, key);
    print_address(&addr, out, cap);
}

int hws_net__local_address(const uv_tcp_t *tcp, char *out, size_t cap)
{
    struct sockaddr_storage addr;
    int n = sizeof(addr);

    memset(&addr, 0, sizeof(addr));
    int status = uv_tcp_getsockname(tcp, (struct sockaddr *)&addr, &n);
    if (status == 0) {
        print_address(&addr, out, cap);
    }
    return status;
}
