/* What the connections of one loop share. */
#include "net/net.h"

#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "net/conn_priv.h"
#include "net/limits.h"

enum hws_code hws_net_init(struct hws_net *net, uv_loop_t *loop, struct hws_err *err)
{
    memset(net, 0, sizeof(*net));
    hws_grpc_spares_init(&net->grpc_spares);
    net->read = hws_mem_alloc(HWS_NET_READ_BYTES);
    net->plain = hws_mem_alloc(HWS_NET_PLAIN_BYTES);
    if (net->read == NULL || net->plain == NULL) {
        hws_net_deinit(net);
        return hws_err_set(err, HWS_E_NOMEM, "read buffers");
    }
    net->loop = loop;
    return HWS_OK;
}

void hws_net_deinit(struct hws_net *net)
{
    if (net->loop != NULL) {
        hws_grpc_spares_trim(&net->grpc_spares);
    }
    hws_mem_free(net->read);
    hws_mem_free(net->plain);
    while (net->n_spare > 0) {
        hws_buf_deinit(&net->spare[--net->n_spare]);
    }
    memset(net, 0, sizeof(*net));
}

void hws_net_limits_default(struct hws_net_limits *out)
{
    *out = (struct hws_net_limits){
#define HWS_NET_LIMIT(field, value) .field = (value),
#include "net/limits.def"
#undef HWS_NET_LIMIT
    };
}

void hws_net__bufs_get(struct hws_net *net, struct hws_buf *buf)
{
    if (buf->bytes == NULL && net->n_spare > 0) {
        *buf = net->spare[--net->n_spare];
    }
}

void hws_net__bufs_put(struct hws_net *net, struct hws_buf *buf)
{
    if (buf->bytes == NULL) {
        return;
    }
    if (net->n_spare == HWS_NET_SPARE_BUFS || buf->cap > HWS_NET_SPARE_BYTES) {
        hws_buf_deinit(buf);
        return;
    }
    hws_buf_reset(buf);
    net->spare[net->n_spare++] = *buf;
    memset(buf, 0, sizeof(*buf));
}

uint64_t hws_net_now_ms(const struct hws_net *net)
{
    return uv_now(net->loop);
}

uint64_t hws_net_now_s(void)
{
    return (uint64_t)time(NULL);
}

enum hws_code hws_net_fail(struct hws_err *err, int uv_status, const char *what)
{
    enum hws_code code = HWS_E_IO;

    switch (uv_status) {
    case UV_ECONNREFUSED:
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EPIPE:
    case UV_EOF:
    case UV_ENOENT:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_EAI_NONAME:
    case UV_EAI_AGAIN:
        code = HWS_E_GONE;
        break;
    case UV_ETIMEDOUT:
        code = HWS_E_TIMEOUT;
        break;
    case UV_ENOMEM:
        code = HWS_E_NOMEM;
        break;
    case UV_EMFILE:
    case UV_ENFILE:
        code = HWS_E_BUSY;
        break;
    case UV_ECANCELED:
        code = HWS_E_CANCELED;
        break;
    default:
        break;
    }
    return hws_err_set(err, code, "%s: %s", what, uv_strerror(uv_status));
}
