/* The cases of gRPC's interop test descriptions, as a client sees them. True: passed. */
#ifndef HWS_INTEROP_CASES_H
#define HWS_INTEROP_CASES_H

#include "rig.h"

#define INTEROP_CASE(name)       bool case_##name(struct rig *rig);
#define INTEROP_HTTP2_CASE(name) bool case_##name(struct rig *rig);
#include "cases.def"
#undef INTEROP_HTTP2_CASE
#undef INTEROP_CASE

#endif
