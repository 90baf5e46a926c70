/* The rows of methods.def as data. */
#include "hawser.h"

#define HWS_CLIENT_METHOD(name, path, kind, Req, req, Res, res)                                    \
    const struct hws_client_method hws_client_method_##name = {path, HWS_CLIENT_##kind,            \
                                                               &hawser__v1__##req##__descriptor,   \
                                                               &hawser__v1__##res##__descriptor};
#include "methods.def"
#undef HWS_CLIENT_METHOD
